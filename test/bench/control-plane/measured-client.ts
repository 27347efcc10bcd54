/** One node's view of the control plane, as its ztunnel has it: every resource decoded and held. */

import { createLogger } from "#common/telemetry/logger.ts";
import { ControlPlaneChannel } from "#common/xds/control-plane-channel.ts";
import { decodeAuthorization } from "#common/xds/decode-authorization.ts";
import { decodeCapturedPod } from "#common/xds/decode-captured-pod.ts";
import { decodeAddress } from "#common/xds/decode-workload.ts";
import { DeltaClient } from "#common/xds/delta-client.ts";
import { ztunnelNode } from "#common/xds/node-identity.ts";
import { ResourceHandler } from "#common/xds/resource-handler.ts";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE, CAPTURED_POD_TYPE } from "#common/xds/type-urls.ts";
import type { IstiodProcess } from "./istiod-process.ts";
import { MEASURED_NODE, ztunnelName } from "./mesh-objects.ts";

const SERVER_NAME = "istiod.istio-system.svc";

/** Where an istiod-lite serves, and what its certificate is known by. */
export type MeasuredControlPlane = Pick<IstiodProcess, "xdsPort" | "rootCertFile">;

export class MeasuredClient {
  /** Names of what was received since the last reset, in order, and their bytes. */
  readonly upserts: string[] = [];
  removals = 0;
  bytes = 0;
  readonly #held = new Map<string, unknown>();
  readonly #handlers: readonly ResourceHandler[];
  readonly #istiod: MeasuredControlPlane;
  readonly #tokenFile: string;
  readonly #waiting = new Set<() => void>();
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #client: DeltaClient | undefined;

  /** Called with the names of each response that was applied. */
  onApplied: ((names: readonly string[]) => void) | undefined;

  constructor(istiod: MeasuredControlPlane, tokenFile: string) {
    this.#istiod = istiod;
    this.#tokenFile = tokenFile;
    this.#handlers = [
      this.#handler(ADDRESS_TYPE, decodeAddress),
      this.#handler(AUTHORIZATION_TYPE, decodeAuthorization),
      this.#handler(CAPTURED_POD_TYPE, decodeCapturedPod),
    ];
  }

  /** Resources held now. */
  get size(): number {
    return this.#held.size;
  }

  /** Connects, with what is held from before; resolves when every type has been answered. */
  async connect(): Promise<void> {
    const answered = new Set<string>();
    this.#stop = new AbortController();
    const node = ztunnelNode({
      ip: "192.168.0.1",
      podName: ztunnelName(MEASURED_NODE),
      podNamespace: "istio-system",
      nodeName: MEASURED_NODE,
      clusterId: "Kubernetes",
      network: "",
    });
    const channel = new ControlPlaneChannel({
      url: `https://127.0.0.1:${this.#istiod.xdsPort}`,
      rootCertFile: this.#istiod.rootCertFile,
      serverName: SERVER_NAME,
      tokenFile: this.#tokenFile,
      clusterId: "Kubernetes",
    });
    const logger = createLogger({ level: "error", format: "text", write: () => undefined });
    const received = (typeUrl: string, bytes: number): void => {
      answered.add(typeUrl);
      this.bytes += bytes;
      for (const wake of this.#waiting) wake();
    };
    const counters = { received, terminated: () => undefined };
    this.#client = new DeltaClient({ channel, handlers: this.#handlers, logger, counters }, node);
    this.#running = this.#client.run(this.#stop.signal);
    await this.until(() => answered.size === this.#handlers.length);
  }

  async disconnect(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Forgets what was counted; what is held stays. */
  reset(): void {
    this.upserts.length = 0;
    this.removals = 0;
    this.bytes = 0;
  }

  /** Resolves when it holds, which is looked at after every response. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
      this.#waiting.clear();
    }
  }

  #handler<Value>(typeUrl: string, decode: (bytes: Uint8Array) => Value): ResourceHandler {
    return ResourceHandler.of<Value>({
      typeUrl,
      decode,
      apply: (upserts, removed) => {
        for (const { name, value } of upserts) this.#held.set(`${typeUrl}/${name}`, value);
        for (const name of removed) this.#held.delete(`${typeUrl}/${name}`);
        this.upserts.push(...upserts.map(({ name }) => name));
        this.removals += removed.length;
        this.onApplied?.(upserts.map(({ name }) => name));
      },
    });
  }
}
