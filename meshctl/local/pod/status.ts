/** A pod's status in Kubernetes' own words, from what its containers do. */
import type { Condition, Pod } from "#common/kubernetes/objects.ts";
import type { IpAddress } from "#common/model/ip.ts";
import type { ContainerView } from "#meshctl/local/container/container-runtime.ts";
import type { ProcessState } from "#meshctl/local/container/supervised-process.ts";

/** The part of a container's status that kubectl shows. */
export interface ContainerStatus {
  readonly name: string;
  readonly image: string;
  readonly ready: boolean;
  readonly started: boolean;
  readonly restartCount: number;
  readonly state: object;
  readonly lastState: object;
}

export type PodStatus = NonNullable<Pod["status"]> & {
  readonly containerStatuses: readonly ContainerStatus[];
};

export interface PodSituation {
  readonly ips: readonly IpAddress[];
  readonly hostIp: IpAddress | undefined;
  readonly startTime: Date | undefined;
  readonly containers: readonly ContainerView[];
  readonly restartPolicy: "Always" | "OnFailure" | "Never";
  /** Why no container runs yet; undefined when they do. */
  readonly blocked: { readonly reason: string; readonly message: string } | undefined;
  readonly scheduled: boolean;
}

type Phase = NonNullable<PodStatus["phase"]>;

/** `since` keeps the times of conditions that did not change. */
export function podStatus(
  situation: PodSituation,
  before: PodStatus | undefined,
  now: Date,
): PodStatus {
  const { ips, hostIp, startTime, containers, blocked } = situation;
  const phase = phaseOf(situation);
  const ready = phase === "Running" && containers.every((container) => container.ready);
  const why = containers.find((container) => !container.ready);
  const notReady = {
    reason: phase === "Succeeded" ? "PodCompleted" : "ContainersNotReady",
    message: why === undefined ? "" : describeNotReady(why),
  };
  const conditions = [
    condition("PodScheduled", situation.scheduled, blocked),
    condition("Initialized", blocked === undefined, blocked),
    condition("ContainersReady", ready, notReady),
    condition("Ready", ready, blocked ?? notReady),
  ].map((fresh) => keepTime(fresh, before?.conditions, now));
  return {
    phase,
    ...(ips[0] === undefined ? {} : { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) }),
    ...(hostIp === undefined ? {} : { hostIP: hostIp }),
    ...(startTime === undefined ? {} : { startTime: startTime.toISOString() }),
    ...(blocked === undefined ? {} : blocked),
    conditions,
    containerStatuses: containers.map(containerStatus),
  };
}

function phaseOf({ containers, blocked, restartPolicy }: PodSituation): Phase {
  if (blocked !== undefined || containers.length === 0) return "Pending";
  const ended = containers.flatMap(({ state }) => (state.kind === "terminated" ? [state] : []));
  if (ended.length === containers.length && restartPolicy !== "Always") {
    return ended.every((state) => state.exitCode === 0) ? "Succeeded" : "Failed";
  }
  const begun = containers.some(
    (c) => c.state.kind !== "waiting" || c.restarts > 0 || c.lastTermination,
  );
  return begun ? "Running" : "Pending";
}

function describeNotReady(container: ContainerView): string {
  const { state, name, probeMessage } = container;
  if (probeMessage !== "") return `container ${name}: ${probeMessage}`;
  if (state.kind === "waiting") return `container ${name}: ${state.reason} ${state.message}`.trim();
  if (state.kind === "terminated") return `container ${name} exited with status ${state.exitCode}`;
  return `container ${name} is not ready yet`;
}

function condition(
  type: string,
  holds: boolean,
  why: { readonly reason: string; readonly message: string } | undefined,
): Condition {
  if (holds) return { type, status: "True" };
  return { type, status: "False", ...(why === undefined ? {} : why) };
}

function keepTime(
  fresh: Condition,
  before: readonly Condition[] | undefined,
  now: Date,
): Condition {
  const old = before?.find((candidate) => candidate.type === fresh.type);
  const same = old !== undefined && old.status === fresh.status;
  const lastTransitionTime = same ? old.lastTransitionTime : now.toISOString();
  return { ...fresh, ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }) };
}

function containerStatus(view: ContainerView): ContainerStatus {
  return {
    name: view.name,
    image: view.image,
    ready: view.ready,
    started: view.started,
    restartCount: view.restarts,
    state: stateJson(view.state),
    lastState: view.lastTermination === undefined ? {} : stateJson(view.lastTermination),
  };
}

function stateJson(state: ProcessState): object {
  switch (state.kind) {
    case "waiting":
      return { waiting: { reason: state.reason, message: state.message } };
    case "running":
      return { running: { startedAt: state.startedAt.toISOString() } };
    case "terminated": {
      const { exitCode, signal, finishedAt } = state;
      const reason = exitCode === 0 && signal === undefined ? "Completed" : "Error";
      return { terminated: { exitCode, signal, reason, finishedAt: finishedAt.toISOString() } };
    }
  }
}
