/** What the cluster knows of one pod. */
import type { Pod } from "#common/kubernetes/objects.ts";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import type { ClusterNode } from "#meshctl/local/network/node-manager.ts";
import type { PodRuntime } from "./pod-runtime.ts";
import { type PodStatus, podStatus } from "./status.ts";

/**
 * A pod asks for an address by this annotation of Calico's, a JSON list of addresses: other
 * networks ignore it.
 */
const IP_ANNOTATION = "cni.projectcalico.org/ipAddrs";

/** A pod of the cluster, from its making to the end of its last process. */
export interface PodEntry {
  /** As it is published, but for the status. */
  pod: Pod;
  /** As it was asked for. */
  source: Pod;
  readonly order: number;
  /** `namespace/name` of the Deployment it belongs to. */
  readonly owner: string | undefined;
  node: ClusterNode | undefined;
  ips: readonly IpAddress[];
  runtime: PodRuntime | undefined;
  /** Why it has no node or address yet. */
  waiting: string;
  /** What was last said about it. */
  lastStanding: string;
}

export function newPodEntry(
  source: Pod,
  uid: string,
  order: number,
  owner: string | undefined,
): PodEntry {
  const creationTimestamp = new Date().toISOString();
  const metadata = { namespace: "default", ...source.metadata, uid, creationTimestamp };
  const { serviceAccountName = "default" } = source.spec;
  return {
    pod: { ...source, metadata, spec: { ...source.spec, serviceAccountName } },
    source,
    order,
    owner,
    node: undefined,
    ips: [],
    runtime: undefined,
    waiting: "",
    lastStanding: "",
  };
}

/** The pod as the API server would show it. */
export function viewOf(entry: PodEntry, now: Date): Pod & { readonly status: PodStatus } {
  const status = entry.runtime?.status(now) ?? unscheduledStatus(entry);
  return { ...entry.pod, status };
}

function unscheduledStatus(entry: PodEntry): PodStatus {
  return podStatus(
    {
      ips: [],
      hostIp: undefined,
      startTime: undefined,
      containers: [],
      restartPolicy: entry.pod.spec.restartPolicy ?? "Always",
      blocked: { reason: "Unschedulable", message: entry.waiting },
      scheduled: false,
    },
    undefined,
    new Date(entry.pod.metadata.creationTimestamp ?? 0),
  );
}

/** One word for people: the phase, or "ready". */
export function standingOf(status: PodStatus): string {
  const ready = status.phase === "Running" && status.containerStatuses.every((c) => c.ready);
  return ready ? "ready" : (status.phase ?? "Pending").toLowerCase();
}

export function isTerminating(entry: PodEntry): boolean {
  return entry.pod.metadata.deletionTimestamp !== undefined;
}

export function podKey(object: { readonly metadata: Pod["metadata"] }): string {
  return `${object.metadata.namespace ?? "default"}/${object.metadata.name}`;
}

/** The pod's addresses on this node; a string says why there are none. */
export function podIps(pod: Pod, node: ClusterNode): readonly IpAddress[] | string {
  if (pod.spec.hostNetwork === true) return node.wiring.ips;
  const wanted = wantedIp(pod);
  if (wanted !== undefined) {
    return (
      node.pool.claim(wanted) ?? `${wanted} is taken, or not among ${node.wiring.name}'s addresses`
    );
  }
  return node.pool.allocate() ?? `node ${node.wiring.name} has no free pod address`;
}

function wantedIp(pod: Pod): IpAddress | undefined {
  const text = pod.metadata.annotations?.[IP_ANNOTATION];
  return text === undefined
    ? undefined
    : parseIp(text.replace(/[[\]"\s]/g, "").split(",")[0] ?? "");
}
