/**
 * Events about objects, as `kubectl describe` shows them below. A repetition counts up the Event
 * that there is, whichever replica made it: its name follows from what it says.
 */

import { hash } from "node:crypto";
import { getObject, isConflict, isNotFound, mergePatch } from "#common/kube-client/apply.ts";
import { KubeApiError, type KubeClient } from "#common/kube-client/kube-client.ts";
import { collectionPath } from "#common/kube-client/resources.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { CallerRate } from "#istiod-lite/ca/caller-rate.ts";
import {
  EVENT_BURST,
  EVENT_BURST_PER_OBJECT,
  EVENT_OBJECTS,
  EVENT_RATE_PER_OBJECT_S,
  EVENT_RATE_S,
} from "#istiod-lite/config/kubernetes/limits.ts";
import {
  FIELD_MANAGER,
  type StoredObject,
} from "#istiod-lite/config/kubernetes/write/stored-object.ts";
import type { EventDetails } from "#istiod-lite/config/source.ts";
import { MAX_EVENT_MESSAGE_LENGTH } from "#istiod-lite/limits.ts";
import { RefusalLog } from "#istiod-lite/refusal-log.ts";

/** Where Events about objects without a namespace are. Source: client-go's event recorder. */
const NAMESPACE_OF_OTHERS = "default";
const NAME_CHARACTERS = 200;

export interface EventRecorderDeps {
  readonly client: KubeClient;
  readonly logger: Logger;
  readonly now: () => Date;
}

export class EventRecorder {
  readonly #deps: EventRecorderDeps;
  readonly #ofObject: CallerRate;
  readonly #ofAll: CallerRate;
  readonly #leftOut: RefusalLog;

  constructor(deps: EventRecorderDeps) {
    this.#deps = deps;
    const nowMs = (): number => deps.now().getTime();
    this.#ofObject = new CallerRate(nowMs, {
      burst: EVENT_BURST_PER_OBJECT,
      perSecond: EVENT_RATE_PER_OBJECT_S,
      callers: EVENT_OBJECTS,
    });
    this.#ofAll = new CallerRate(nowMs, {
      burst: EVENT_BURST,
      perSecond: EVENT_RATE_S,
      callers: 1,
    });
    this.#leftOut = new RefusalLog(deps.logger, "too many Events: left out");
  }

  async record(object: StoredObject, details: EventDetails): Promise<void> {
    const { kind, metadata } = object;
    const key = `${kind}/${metadata.namespace ?? ""}/${metadata.name}`;
    if (!this.#ofObject.take(`${key}/${metadata.uid}`) || !this.#ofAll.take("")) {
      this.#leftOut.warn({ object: key, reason: details.reason, message: details.message });
      return;
    }
    const event = this.#event(object, details);
    const { namespace, name } = event.metadata;
    try {
      const path = collectionPath("Event", namespace);
      await this.#deps.client.request({ method: "POST", path, body: event });
    } catch (error) {
      if (isConflict(error)) await this.#countUp(namespace, name);
      // A namespace that is gone or going takes no Events.
      else if (!isNotFound(error) && !isTerminating(error)) throw error;
    }
  }

  async #countUp(namespace: string, name: string): Promise<void> {
    const { client, now } = this.#deps;
    const reference = { kind: "Event", namespace, name };
    try {
      const found = await getObject<{ readonly count?: number }>(client, reference);
      const patch = { count: (found?.count ?? 1) + 1, lastTimestamp: now().toISOString() };
      await mergePatch(client, reference, patch);
    } catch (error) {
      // It has just expired: the next repetition makes another.
      if (!isNotFound(error)) throw error;
    }
  }

  #event({ apiVersion, kind, metadata }: StoredObject, { type, reason, message }: EventDetails) {
    const { name, namespace, uid, resourceVersion } = metadata;
    const cut = message.slice(0, MAX_EVENT_MESSAGE_LENGTH);
    const digest = hash("sha256", JSON.stringify([kind, uid, type, reason, cut])).slice(0, 16);
    const time = this.#deps.now().toISOString();
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: {
        name: `${name.slice(0, NAME_CHARACTERS)}.${digest}`,
        namespace: namespace ?? NAMESPACE_OF_OTHERS,
      },
      involvedObject: { apiVersion, kind, name, namespace, uid, resourceVersion },
      type,
      reason,
      message: cut,
      count: 1,
      firstTimestamp: time,
      lastTimestamp: time,
      source: { component: FIELD_MANAGER },
      reportingComponent: FIELD_MANAGER,
    };
  }
}

/** Source: Kubernetes' NamespaceLifecycle admission. */
export function isTerminating(error: unknown): boolean {
  return (
    error instanceof KubeApiError &&
    error.status === 403 &&
    error.message.includes("because it is being terminated")
  );
}
