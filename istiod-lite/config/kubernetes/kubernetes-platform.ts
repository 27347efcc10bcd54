/**
 * istiod-lite on a cluster: configuration from the API server, callers proven by it, the CA in its
 * Secrets, and a Lease among replicas for whatever is written.
 */

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { getObject } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import type { ObjectChange, Pod } from "#common/kubernetes/objects.ts";
import { describeError } from "#common/runtime/errors.ts";
import { pause } from "#common/runtime/pause.ts";
import { VERSION } from "#common/runtime/version.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { LiveAuthority } from "#istiod-lite/ca/live-authority.ts";
import { ApiTokenReviewer } from "#istiod-lite/config/kubernetes/api-token-reviewer.ts";
import { CaSecrets } from "#istiod-lite/config/kubernetes/ca-secrets.ts";
import { leadingClient } from "#istiod-lite/config/kubernetes/leader/leading-client.ts";
import {
  type ElectionClock,
  LeaseElector,
} from "#istiod-lite/config/kubernetes/leader/lease-elector.ts";
import { permissionGate } from "#istiod-lite/config/kubernetes/permission-gate.ts";
import { ReadyZtunnels } from "#istiod-lite/config/kubernetes/ready-ztunnels.ts";
import { KubernetesSource } from "#istiod-lite/config/kubernetes/watch/kubernetes-source.ts";
import type { RefusedObject } from "#istiod-lite/config/kubernetes/watch/object-problems.ts";
import { NodeUntaint } from "#istiod-lite/config/kubernetes/write/node-untaint.ts";
import { KubernetesOwnedObjects } from "#istiod-lite/config/kubernetes/write/owned-objects.ts";
import { RootConfigMaps } from "#istiod-lite/config/kubernetes/write/root-config-maps.ts";
import { KubernetesStatusWriter } from "#istiod-lite/config/kubernetes/write/status-writer.ts";
import { FIELD_MANAGER } from "#istiod-lite/config/kubernetes/write/stored-object.ts";
import { WebhookRegistration } from "#istiod-lite/config/kubernetes/write/webhook-registration.ts";
import { areZtunnelsRemoved } from "#istiod-lite/config/kubernetes/ztunnel-removal.ts";
import { referenceKey } from "#istiod-lite/config/overlay-store.ts";
import type { Platform } from "#istiod-lite/config/platform.ts";
import type { ObjectReference } from "#istiod-lite/config/source.ts";

export interface KubernetesPlatformOptions {
  readonly trustDomain: string;
  readonly rootNamespace: string;
  readonly revision: string;
  readonly podName?: string;
  readonly podNamespace: string;
  readonly leaderLease?: string;
  /** "" for none. */
  readonly nodeTaint: string;
}

export interface KubernetesPlatformDeps {
  readonly client: KubeClient;
  readonly logger: Logger;
}

/** Of a process that runs in no pod. */
const FALLBACK_IMAGE = `ambient-mesh:${VERSION}`;

const CLOCK: ElectionClock = {
  now: () => performance.now(),
  date: () => new Date(),
  sleep: pause,
};

export class KubernetesPlatform implements Platform {
  readonly source: KubernetesSource;
  readonly statusWriter: KubernetesStatusWriter;
  readonly reportWriter: KubernetesStatusWriter;
  readonly ownedObjects: KubernetesOwnedObjects;
  readonly tokens: ApiTokenReviewer;
  readonly ca: CaSecrets;
  readonly leadership: LeaseElector;
  readonly #options: KubernetesPlatformOptions;
  readonly #client: KubeClient;
  readonly #logger: Logger;
  readonly #ztunnels: ReadyZtunnels;
  readonly #rootConfigMaps: RootConfigMaps;
  readonly #untaint: NodeUntaint;
  readonly #webhook: WebhookRegistration;
  readonly #closing = new AbortController();

  constructor(
    options: KubernetesPlatformOptions,
    { client: bare, logger }: KubernetesPlatformDeps,
  ) {
    const client = permissionGate(bare, { logger: logger.scope("permissions") });
    this.#options = options;
    this.#client = bare;
    this.#logger = logger.scope("platform");
    this.leadership = elector(options, client, logger);
    const leading = leadingClient(client, this.leadership);
    this.source = new KubernetesSource({
      client: bare,
      logger: logger.scope("config"),
      onRefused: (refused) => this.#tellRefused(refused),
    });
    this.statusWriter = statusWriter(this.source, leading, logger);
    this.reportWriter = statusWriter(this.source, client, logger);
    this.ownedObjects = new KubernetesOwnedObjects({
      client: leading,
      logger: logger.scope("owned"),
      fieldManager: ofRevision(FIELD_MANAGER, options.revision),
    });
    this.tokens = new ApiTokenReviewer(client);
    const { podNamespace: namespace, trustDomain } = options;
    const { signal } = this.#closing;
    this.ca = new CaSecrets(
      { namespace, trustDomain },
      { client, logger: logger.scope("ca"), signal },
    );
    const forLeader = { client: leading, leadership: this.leadership };
    this.#rootConfigMaps = new RootConfigMaps({ ...forLeader, logger: logger.scope("roots") });
    const { nodeTaint: taintKey } = options;
    const ztunnels = new ReadyZtunnels(options.rootNamespace, taintKey);
    this.#ztunnels = ztunnels;
    const nodeLogger = logger.scope("nodes");
    const name = ofRevision(`istio-validator-${namespace}`, options.revision);
    this.#webhook = new WebhookRegistration({ ...forLeader, name, logger });
    this.#untaint = new NodeUntaint({ ...forLeader, logger: nodeLogger, ztunnels, taintKey });
  }

  hasReadyZtunnel(node: string): boolean {
    return this.#ztunnels.has(node);
  }

  /** One image holds every program of the mesh: of its pod, the first container is this one. */
  async ownImage(): Promise<string> {
    const { podName: name, podNamespace: namespace } = this.#options;
    if (name === undefined) return FALLBACK_IMAGE;
    try {
      const pod = await getObject<Pod>(this.#client, { kind: "Pod", namespace, name });
      return pod?.spec.containers[0]?.image ?? FALLBACK_IMAGE;
    } catch (error) {
      const why = describeError(error);
      this.#logger.warn("this pod's own image is not known", { why, instead: FALLBACK_IMAGE });
      return FALLBACK_IMAGE;
    }
  }

  async areZtunnelsRemoved(podName: string): Promise<boolean> {
    const { rootNamespace: namespace } = this.#options;
    const ztunnel = this.source.object(referenceKey({ kind: "Pod", namespace, name: podName }));
    return areZtunnelsRemoved(this.#client, ztunnel);
  }

  apply(changes: readonly ObjectChange[]): void {
    this.#rootConfigMaps.apply(changes);
    this.#untaint.look(this.#ztunnels.apply(changes));
  }

  /** On the object itself, where its author looks. */
  #tellRefused({ object, message, inForce }: RefusedObject): void {
    const event = {
      type: "Warning",
      reason: "Refused",
      message: `${message}; in force: ${inForce}`,
    } as const;
    // By whichever replica: at its start none of them leads.
    this.reportWriter.recordEvent(object, event).catch((error: unknown) => {
      this.#logger.warn("event not written", { why: describeError(error) });
    });
  }

  start(authority: LiveAuthority): void {
    const setRoots = (): void => {
      this.#rootConfigMaps.setRoots(authority.current.rootsPem);
      this.#webhook.setRoots(authority.current.rootsPem);
    };
    authority.onChange(setRoots);
    setRoots();
    this.leadership.start();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#rootConfigMaps.close();
    await this.#untaint.close();
    await this.#webhook.close();
    await this.leadership.close();
    this.#client.close();
  }
}

function statusWriter(
  source: KubernetesSource,
  client: KubeClient,
  logger: Logger,
): KubernetesStatusWriter {
  const apiVersionOf = (object: ObjectReference): string | undefined =>
    source.object(referenceKey(object))?.apiVersion;
  const now = (): Date => new Date();
  return new KubernetesStatusWriter({ client, logger: logger.scope("status"), now, apiVersionOf });
}

function elector(
  { leaderLease, podName, podNamespace, revision }: KubernetesPlatformOptions,
  client: KubeClient,
  logger: Logger,
): LeaseElector {
  const name = leaderLease ?? ofRevision("istiod-lite-leader", revision);
  // A container that is restarted in its pod is another process: it does not lead on.
  const identity = `${podName ?? hostname()}_${randomUUID()}`;
  return new LeaseElector(
    { namespace: podNamespace, name, identity },
    { client, logger: logger.scope("leader"), clock: CLOCK },
  );
}

function ofRevision(name: string, revision: string): string {
  return revision === "default" ? name : `${name}-${revision}`;
}
