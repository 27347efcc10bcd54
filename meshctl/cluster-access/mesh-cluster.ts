/**
 * A cluster as commands see it: of namespaces on this machine (`meshctl up`), or of Kubernetes.
 * Every call throws a MeshError that says what to type where something cannot be had.
 */
import type { Gateway, KubernetesObject, Pod } from "#common/kubernetes/objects.ts";
import type { OverlayEvent } from "#common/kubernetes/overlay.ts";
import type { AdminRequest } from "./admin-exchange.ts";

/** A ztunnel that can be asked. */
export interface Ztunnel {
  /** Of its pod. */
  readonly name: string;
  readonly node: string;
}

export interface ClusterEvent extends OverlayEvent {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface LogRequest {
  readonly container?: string;
  /** Goes on with what is written from now on. */
  readonly follow: boolean;
  /** Of the run before the last restart. */
  readonly previous: boolean;
  /** Only the last lines. */
  readonly tail?: number;
}

export interface MeshCluster {
  /** Where commands look unless told otherwise. */
  readonly defaultNamespace: string;
  /** `kind` as in YAML. All namespaces if none is given. */
  objects(kind: string, namespace?: string): Promise<readonly KubernetesObject[]>;
  /** What istiod-lite and others recorded about objects. All namespaces if none is given. */
  events(namespace?: string): Promise<readonly ClusterEvent[]>;
  /** What is wrong with the cluster's configuration as a whole, a line each. */
  problems(): Promise<readonly string[]>;

  /** By name. Throws where there are none. */
  ztunnels(): Promise<readonly Ztunnel[]>;
  /** The body of a successful answer of its admin port. */
  askZtunnel(ztunnel: Ztunnel, asked: AdminRequest): Promise<string>;
  /** Replaces ztunnels without a gap; of all nodes if none is named. */
  restartZtunnels(nodes: readonly string[], say: (line: string) => void): Promise<void>;

  /** With this process's input, outputs and terminal. Returns the exit status. */
  exec(pod: Pod, container: string | undefined, command: readonly string[]): Promise<number>;
  /** Into this process's output. */
  printLog(pod: Pod, request: LogRequest): Promise<void>;
  /** The pod then has its grace period. */
  deletePod(pod: Pod, graceSeconds: number | undefined): Promise<void>;

  /** Makes a waypoint's Gateway, or gives it the labels of this one; what else it says stays. */
  putWaypoint(gateway: Gateway): Promise<void>;
  /** False where there is no waypoint of this name. */
  deleteWaypoint(namespace: string, name: string): Promise<boolean>;
  /** Undefined where there is no such namespace, or nothing is said about it. */
  namespaceLabels(name: string): Promise<Readonly<Record<string, string>> | undefined>;
  labelNamespace(name: string, label: string, value: string): Promise<void>;

  close(): void;
}
