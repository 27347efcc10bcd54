/** What ztunnel holds in a pod's namespace: its listeners, and an ear for what changes there. */
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { Netlink } from "#ztunnel/sys/netlink.ts";
import type { NamespaceMonitor } from "#ztunnel/sys/netlink-monitor.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { CAPTURE_EVENT_PAUSE_MS } from "./limits.ts";
import { migrateWaitingConnections } from "./listener-handover.ts";
import type { ListenerSink, ProbeAdmission } from "./listener-sink.ts";
import { openPodListeners, socketInodes, ztunnelListeners } from "./pod-listeners.ts";
import type { PodNetnsFinder } from "./pod-netns.ts";
import type { InstalledRules } from "./pod-rules.ts";
import type { PodRuleOptions } from "./rules.ts";

export interface AttachmentDeps {
  readonly sys: Syscalls;
  readonly netlink: Netlink;
  readonly sink: ListenerSink;
  readonly log: Logger;
  /** Each gets listeners of its own; 0 where somebody else listens. */
  readonly workers: number;
}

/** What the capture of a pod needs besides. */
export interface PodCaptureDependencies extends AttachmentDeps {
  readonly finder: PodNetnsFinder;
  readonly probes: ProbeAdmission;
}

/** Where, and for which pod. */
export interface Place {
  readonly pod: CapturedPod;
  readonly netns: Netns;
  readonly ipv6: boolean;
}

export interface Attachment extends Place {
  /** Of our listeners; empty where somebody else listens. */
  readonly inodes: ReadonlySet<number>;
  /** Of the listeners that other ztunnels had when this one came. */
  readonly older: ReadonlySet<number>;
  /** Undefined where it could not be had: then only looking tells what changes. */
  readonly monitor: NamespaceMonitor | undefined;
  /** Undefined until they are in place. */
  rules: InstalledRules | undefined;
}

/**
 * Throws what opening or handing over the listeners threw; nothing is left open then but `netns`.
 */
export async function attach(
  deps: AttachmentDeps,
  place: Place,
  onChange: () => void,
): Promise<Attachment> {
  const { sys, netlink, sink, workers, log } = deps;
  const { pod, netns, ipv6 } = place;
  const older = workers === 0 ? new Set<number>() : ztunnelListeners(sys, netlink, netns);
  migrateWaitingConnections(sys, netns, log);
  const listeners = openPodListeners(sys, netns, ipv6, workers);
  const inodes = socketInodes(listeners);
  try {
    await sink.add(pod, netns, listeners);
  } catch (error) {
    await sink.remove(pod.uid);
    throw error;
  }
  const monitor = listen(deps, place, onChange);
  return { ...place, inodes, older, monitor, rules: undefined };
}

/**
 * Where `attachment` is, with other listeners and this record of the pod: connections that stand go
 * on. Throws what opening or handing over the listeners threw; the pod is to be detached then.
 */
export async function renew(
  deps: AttachmentDeps,
  attachment: Attachment,
  pod: CapturedPod,
): Promise<Attachment> {
  const { sys, sink, workers, log } = deps;
  const { netns, ipv6 } = attachment;
  if (workers === 0) return { ...attachment, pod };
  migrateWaitingConnections(sys, netns, log);
  const listeners = openPodListeners(sys, netns, ipv6, workers);
  const inodes = socketInodes(listeners);
  await sink.add(pod, netns, listeners);
  return { ...attachment, pod, inodes };
}

export async function detach(
  { sys, sink }: Pick<AttachmentDeps, "sys" | "sink">,
  { pod, netns, monitor }: Attachment,
): Promise<void> {
  await sink.remove(pod.uid);
  monitor?.close();
  sys.closeNetns(netns);
}

function listen(
  { sys, netlink, log }: AttachmentDeps,
  { pod, netns }: Place,
  onChange: () => void,
): NamespaceMonitor | undefined {
  const options = { onChange, pauseMs: CAPTURE_EVENT_PAUSE_MS };
  try {
    return sys.inNetns(netns, () => netlink.monitor(options));
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    const fields = { pod: `${pod.namespace}/${pod.name}`, why: describeError(error) };
    log.warn("no events of a pod's network: it is looked at every few seconds", fields);
    return undefined;
  }
}

/** Whether what stands in one can go on in the other. */
export function isSamePlace(a: Place, b: Place): boolean {
  return (
    a.netns.id === b.netns.id &&
    a.ipv6 === b.ipv6 &&
    a.pod.serviceAccount === b.pod.serviceAccount &&
    a.pod.workloadUid === b.pod.workloadUid &&
    hasSameAddresses(a.pod, b.pod)
  );
}

/** In whatever order: a CNI plugin and the API server may each have their own. */
function hasSameAddresses(a: CapturedPod, b: CapturedPod): boolean {
  return [...a.ips].sort().join() === [...b.ips].sort().join();
}

type RuleSettings = Pick<PodRuleOptions, "bypassInboundCapture" | "dnsCapture">;

/** Whether these records of a pod ask for the same rules. */
export function hasSameRules(a: RuleSettings, b: RuleSettings): boolean {
  return a.bypassInboundCapture === b.bypassInboundCapture && a.dnsCapture === b.dnsCapture;
}

/** Installed for this pod as it is now; whether they still are what they were is another matter. */
export function areRulesInPlace({ rules, pod }: Attachment): boolean {
  return rules !== undefined && hasSameRules(rules.options, pod);
}
