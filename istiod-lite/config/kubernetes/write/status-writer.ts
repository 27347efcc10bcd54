/**
 * Writes statuses and annotations through the status subresource, and Events. A status is read
 * before it is written, so that nothing is written when nothing changes, and goes back with the
 * version that was read, so that what others write meanwhile is not lost.
 */

import { isDeepStrictEqual } from "node:util";
import { getObject, isConflict, isNotFound, mergePatch } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import type { Condition, ServiceEntryAddress } from "#common/kubernetes/objects.ts";
import type { JsonObject } from "#common/runtime/json-object.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { CONFLICT_RETRIES } from "#istiod-lite/config/kubernetes/limits.ts";
import { EventRecorder } from "#istiod-lite/config/kubernetes/write/event-recorder.ts";
import {
  FIELD_MANAGER,
  type StoredObject,
} from "#istiod-lite/config/kubernetes/write/stored-object.ts";
import type {
  EventDetails,
  NewCondition,
  ObjectReference,
  PodReference,
  StatusWriter,
} from "#istiod-lite/config/source.ts";
import {
  completeCondition,
  completeFields,
  withConditions,
} from "#istiod-lite/config/status-conditions.ts";

export interface KubernetesStatusWriterDeps {
  readonly client: KubeClient;
  readonly logger: Logger;
  readonly now: () => Date;
  /** In which version the object is read; undefined where it is not known. */
  readonly apiVersionOf: (object: ObjectReference) => string | undefined;
}

export class KubernetesStatusWriter implements StatusWriter {
  readonly #deps: KubernetesStatusWriterDeps;
  readonly #events: EventRecorder;

  constructor(deps: KubernetesStatusWriterDeps) {
    this.#deps = deps;
    this.#events = new EventRecorder(deps);
  }

  /** The API server writes nothing where they are so already. */
  async setPodAnnotations(
    { namespace, name, uid }: PodReference,
    annotations: Readonly<Record<string, string | undefined>>,
  ): Promise<void> {
    const values = Object.entries(annotations).map(([key, value]) => [key, value ?? null] as const);
    try {
      await this.#patch(
        { kind: "Pod", namespace, name },
        {
          metadata: { ...(uid !== undefined && { uid }), annotations: Object.fromEntries(values) },
        },
      );
    } catch (error) {
      // With a uid, a conflict says that there is another pod of this name now.
      if (isNotFound(error) || (uid !== undefined && isConflict(error))) return;
      throw error;
    }
  }

  async setConditions(
    reference: ObjectReference,
    conditions: readonly NewCondition[],
    observedGeneration: number | undefined,
    obsoleteTypes: readonly string[] = [],
  ): Promise<void> {
    await this.#update(reference, (status) => {
      const all = conditionsOf(status.conditions);
      const complete = this.#completing(observedGeneration);
      return { conditions: withConditions(all, conditions, obsoleteTypes, complete) };
    });
  }

  async setAddresses(
    reference: ObjectReference,
    addresses: readonly ServiceEntryAddress[],
  ): Promise<void> {
    await this.#update(reference, () => ({ addresses }));
  }

  async setStatusFields(
    reference: ObjectReference,
    fields: JsonObject,
    observedGeneration: number | undefined,
  ): Promise<void> {
    await this.#update(reference, (present) =>
      completeFields(fields, { present }, this.#completing(observedGeneration)),
    );
  }

  async recordEvent(reference: ObjectReference, event: EventDetails): Promise<void> {
    const object = await getObject<StoredObject>(this.#deps.client, this.#named(reference));
    if (object !== undefined) await this.#events.record(object, event);
  }

  async #update(
    reference: ObjectReference,
    change: (status: JsonObject) => JsonObject,
  ): Promise<void> {
    for (let tries = 1; ; tries++) {
      const object = await getObject<StoredObject>(this.#deps.client, this.#named(reference));
      if (object === undefined) return;
      const before = object.status ?? {};
      const status = change(before);
      if (Object.entries(status).every(([key, value]) => isSame(before[key], value))) return;
      const { resourceVersion, uid } = object.metadata;
      try {
        await this.#patch(reference, { metadata: { resourceVersion, uid }, status });
        return;
      } catch (error) {
        if (isNotFound(error)) return;
        if (!isConflict(error) || tries >= CONFLICT_RETRIES) throw error;
      }
    }
  }

  #patch(reference: ObjectReference, patch: object): Promise<void> {
    const options = { fieldManager: FIELD_MANAGER, subresource: "status" };
    return mergePatch(this.#deps.client, this.#named(reference), patch, options);
  }

  #named(reference: ObjectReference) {
    return { ...reference, apiVersion: this.#deps.apiVersionOf(reference) };
  }

  /** An API server wants a reason and a message of every condition, and times in whole seconds. */
  #completing(observedGeneration: number | undefined) {
    const now = (): Date => new Date(Math.floor(this.#deps.now().getTime() / 1000) * 1000);
    return (
      { reason = "Reported", message = "", ...rest }: NewCondition,
      present: readonly Condition[],
    ): Condition => {
      const condition = { ...rest, reason, message };
      const completed = completeCondition(condition, present, { observedGeneration, now });
      const { lastTransitionTime = "" } = completed;
      return { ...completed, lastTransitionTime: lastTransitionTime.replace(/\.\d+Z$/, "Z") };
    };
  }
}

/** An empty list may be stored as none. */
function isSame(before: unknown, after: unknown): boolean {
  if (before === undefined && Array.isArray(after) && after.length === 0) return true;
  return isDeepStrictEqual(before, after);
}

function conditionsOf(value: unknown): readonly Condition[] {
  return Array.isArray(value) ? (value as readonly Condition[]) : [];
}
