/** What a cluster's control socket answers; both ends of it use these types. */
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import type { OverlayEvent } from "#common/kubernetes/overlay.ts";

export interface ClusterInfo {
  readonly name: string;
  /** The folder that is watched, as seen by the init. */
  readonly folder: string;
  readonly mesh: boolean;
  readonly ready: boolean;
  readonly nodes: readonly NodeInfo[];
  /** What is wrong in the folder now: `file:line:column: error: field: …`. */
  readonly problems: readonly string[];
}

export interface NodeInfo {
  readonly name: string;
  /** The process that holds its namespaces, as seen by the init. */
  readonly pid: number;
  readonly ips: readonly string[];
}

/** What it takes to enter a pod or read its logs. */
export interface PodAccess {
  readonly namespace: string;
  readonly name: string;
  /** The pod's first process, as seen by the init; absent while it does not run. */
  readonly sandboxPid?: number;
  readonly containers: readonly ContainerAccess[];
}

export interface ContainerAccess {
  readonly name: string;
  readonly workingDir?: string;
  readonly env: Readonly<Record<string, string>>;
  /** As seen by the init. */
  readonly log: string;
  /** The container's main process as seen by the init, while it runs. */
  readonly pid?: number;
}

export interface ObjectList {
  readonly items: readonly KubernetesObject[];
}

/**
 * What can be done to a program of the mesh: `stop` keeps it down until `start`; `replace` has a
 * new one take over before the old one ends.
 */
export interface MeshProcessAction {
  readonly action: "signal" | "stop" | "start" | "replace";
  /** For `signal`. */
  readonly signal?: NodeJS.Signals;
  /** For `start` and `replace`: variables that are added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface ControlError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** An Event that istiod-lite recorded, and the object that it is about. */
export interface ObjectEvent extends OverlayEvent {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}
