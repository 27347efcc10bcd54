/** Writes statuses, annotations and Events of a folder source into its overlays. */

import { isDeepStrictEqual } from "node:util";
import type {
  Condition,
  KubernetesObject,
  ServiceEntryAddress,
} from "#common/kubernetes/objects.ts";
import {
  belongsTo,
  type Overlay,
  type OverlayEvent,
  statusOf,
} from "#common/kubernetes/overlay.ts";
import type { JsonObject } from "#common/runtime/json-object.ts";
import { type OverlayStore, referenceKey } from "#istiod-lite/config/overlay-store.ts";
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
import { MAX_EVENT_MESSAGE_LENGTH, MAX_EVENTS_PER_OBJECT } from "#istiod-lite/limits.ts";

export interface FolderStatusWriterDeps {
  readonly overlays: OverlayStore;
  /** The object as it is in the folder; undefined when there is none (any more). */
  readonly object: (key: string) => KubernetesObject | undefined;
  readonly now: () => Date;
}

export class FolderStatusWriter implements StatusWriter {
  readonly #deps: FolderStatusWriterDeps;

  constructor(deps: FolderStatusWriterDeps) {
    this.#deps = deps;
  }

  async setPodAnnotations(
    { namespace, name }: PodReference,
    wanted: Readonly<Record<string, string | undefined>>,
  ): Promise<void> {
    await this.#update({ kind: "Pod", namespace, name }, (before, object) => {
      const annotations = new Map(Object.entries(before.metadata.annotations ?? {}));
      for (const [annotation, value] of Object.entries(wanted)) {
        annotations.delete(annotation);
        const own = object.metadata.annotations?.[annotation];
        if (value !== undefined) annotations.set(annotation, value);
        // What the object itself says has to be taken away, not only what was laid over it.
        else if (own !== undefined) annotations.set(annotation, null);
      }
      const after = Object.fromEntries(annotations);
      return { ...before, metadata: { ...before.metadata, annotations: after } };
    });
  }

  async setConditions(
    reference: ObjectReference,
    conditions: readonly NewCondition[],
    observedGeneration: number | undefined,
    obsoleteTypes: readonly string[] = [],
  ): Promise<void> {
    await this.#update(reference, (before) => {
      const all = before.status?.conditions ?? [];
      const complete = this.#completing(observedGeneration);
      const merged = withConditions(all, conditions, obsoleteTypes, complete);
      return { ...before, status: { ...before.status, conditions: merged } };
    });
  }

  async setAddresses(
    reference: ObjectReference,
    addresses: readonly ServiceEntryAddress[],
  ): Promise<void> {
    await this.#update(reference, (before) => ({
      ...before,
      status: { ...before.status, addresses },
    }));
  }

  async setStatusFields(
    reference: ObjectReference,
    fields: JsonObject,
    observedGeneration: number | undefined,
  ): Promise<void> {
    await this.#update(reference, (before, object) => {
      const others = statusOf(object) as JsonObject;
      const places = { present: { ...others, ...before.status }, others };
      const completed = completeFields(fields, places, this.#completing(observedGeneration));
      return { ...before, status: { ...before.status, ...completed } };
    });
  }

  async recordEvent(reference: ObjectReference, event: EventDetails): Promise<void> {
    await this.#update(reference, (before) => ({
      ...before,
      events: addEvent(before.events ?? [], event, this.#deps.now().toISOString()),
    }));
  }

  async #update(
    reference: ObjectReference,
    change: (before: Overlay, object: KubernetesObject) => Overlay,
  ): Promise<void> {
    await this.#deps.overlays.update(reference, (found) => {
      const object = this.#deps.object(referenceKey(reference));
      if (object === undefined) return undefined;
      const { uid } = object.metadata;
      const fresh: Overlay = { metadata: uid === undefined ? {} : { uid } };
      const before = found !== undefined && belongsTo(found, object) ? found : fresh;
      const after = change(before, object);
      return isDeepStrictEqual(tidy(after), tidy(before)) ? undefined : tidy(after);
    });
  }

  #completing(observedGeneration: number | undefined) {
    const { now } = this.#deps;
    return (condition: NewCondition, present: readonly Condition[]): Condition =>
      completeCondition(condition, present, { observedGeneration, now });
  }
}

/** Empty parts say nothing and are left out. */
function tidy({ metadata, status, events = [] }: Overlay): Overlay {
  const { uid, annotations = {} } = metadata;
  const { conditions = [], ...fields } = status ?? {};
  const said = conditions.length > 0 || Object.keys(fields).length > 0;
  return {
    metadata: {
      ...(uid === undefined ? {} : { uid }),
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
    ...(said ? { status: { ...status } } : {}),
    ...(events.length === 0 ? {} : { events }),
  };
}

function addEvent(
  events: readonly OverlayEvent[],
  { type, reason, message }: EventDetails,
  time: string,
): OverlayEvent[] {
  const cut = message.slice(0, MAX_EVENT_MESSAGE_LENGTH);
  const last = events.at(-1);
  if (last?.type === type && last.reason === reason && last.message === cut) {
    return [...events.slice(0, -1), { ...last, count: last.count + 1, lastTimestamp: time }];
  }
  const times = { firstTimestamp: time, lastTimestamp: time };
  return [...events, { type, reason, message: cut, count: 1, ...times }].slice(
    -MAX_EVENTS_PER_OBJECT,
  );
}
