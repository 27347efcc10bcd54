/**
 * Where configuration comes from and where results go back to: the two interfaces that a folder and
 * an API server both implement, so that everything behind them works the same on either.
 */
import type {
  Condition,
  KubernetesKind,
  KubernetesObject,
  ObjectChange,
  ObjectMeta,
  ServiceEntryAddress,
} from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Loss } from "#istiod-lite/config/source-loss.ts";

export interface ConfigSource {
  /**
   * Starts watching. The first call of `onChange` delivers every object there is (perhaps none);
   * later calls deliver what changed since, never an empty list. Resolves after the first delivery.
   * Calls do not overlap. Throws MeshError if called twice.
   */
  start(onChange: (changes: readonly ObjectChange[]) => void): Promise<void>;
  /**
   * What the source has lost, and what stays in force nevertheless; undefined while all is well. An
   * object is deleted only by whoever may delete it, never by the loss of its file.
   */
  readonly loss: Loss | undefined;
  /**
   * Whether every object that there may be was delivered. While it is not, what seems to be wanted
   * by nobody is not to be taken away.
   */
  readonly isWhole: boolean;
  /** Stops watching; no call of `onChange` follows. */
  close(): Promise<void>;
}

export interface ObjectReference {
  readonly kind: KubernetesKind;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
}

export interface PodReference {
  readonly namespace: string;
  readonly name: string;
  /** Where it is known: another pod of the name is not meant. */
  readonly uid?: string;
}

/** A Kubernetes Event, as `kubectl describe` shows it below the object. */
export interface EventDetails {
  readonly type: "Normal" | "Warning";
  /** One word in upper camel case, e.g. `CaptureFailed`. */
  readonly reason: string;
  readonly message: string;
}

/** A condition to set: the writer fills in `lastTransitionTime` and `observedGeneration`. */
export type NewCondition = Pick<Condition, "type" | "status" | "reason" | "message">;

/** Writes to the `status` and the annotations of objects, never to their `spec`. */
export interface StatusWriter {
  /**
   * Sets annotations of a pod, and removes those whose value is undefined. A pod that does not
   * exist (any more) is no error: there is nothing left to write to.
   */
  setPodAnnotations(
    pod: PodReference,
    annotations: Readonly<Record<string, string | undefined>>,
  ): Promise<void>;
  /**
   * Sets the given conditions, by type, and removes those of `obsoleteTypes` (default: none);
   * conditions of other types stay. `lastTransitionTime` moves only when the status of a condition
   * does. Nothing is written when nothing changes.
   */
  setConditions(
    object: ObjectReference,
    conditions: readonly NewCondition[],
    observedGeneration: number | undefined,
    obsoleteTypes?: readonly string[],
  ): Promise<void>;
  /**
   * Sets all of `status.addresses` of a ServiceEntry. Nothing is written when nothing changes.
   */
  setAddresses(object: ObjectReference, addresses: readonly ServiceEntryAddress[]): Promise<void>;
  /**
   * Sets each of these fields of the status whole: `parents`, `listeners`. Lists called
   * `conditions`, however deep, hold `NewCondition`s and are completed as by `setConditions`.
   * Nothing is written when nothing changes.
   */
  setStatusFields(
    object: ObjectReference,
    fields: Readonly<Record<string, unknown>>,
    observedGeneration: number | undefined,
  ): Promise<void>;
  /** Adds an Event; a repetition of the last Event counts it up instead. */
  recordEvent(object: ObjectReference, event: EventDetails): Promise<void>;
}

/** What an API server runs beside the kinds that are read: neither is looked into here. */
export interface ScalingObject {
  readonly apiVersion: "policy/v1" | "autoscaling/v2";
  readonly kind: "PodDisruptionBudget" | "HorizontalPodAutoscaler";
  readonly metadata: ObjectMeta;
  readonly spec: object;
}

export type OwnedObject = KubernetesObject | ScalingObject;

/** Brings objects about that something of this control plane's own needs, and takes them away. */
export interface OwnedObjectsWriter {
  /**
   * Makes exactly these exist for the owner (`<kind>/<namespace>/<name>`); none: takes all of its
   * away. Nothing is written when nothing changes.
   */
  apply(owner: string, objects: readonly OwnedObject[]): Promise<void>;
  /** Takes away what belongs to owners that are not among these: they went while nobody looked. */
  keepOnly(owners: ReadonlySet<string>): Promise<void>;
}

/**
 * The annotation that says whether a pod's traffic is captured. Source: istio/api annotations.yaml.
 */
export const REDIRECTION_ANNOTATION = "ambient.istio.io/redirection";

/**
 * The code of a write that was not even tried, for a reason that has been told: this process leads
 * no more, or may not do it.
 */
export const WRITE_HELD_BACK = "WRITE_HELD_BACK";

export function isHeldBack(error: unknown): boolean {
  return error instanceof MeshError && error.code === WRITE_HELD_BACK;
}
