/**
 * What ztunnel subscribes to at the control plane, put together: all of the mesh, or
 * (XDS_ON_DEMAND) the policies and its own pods, and of the rest what its connections ask for.
 */
import { Counter, type Registry } from "prom-client";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { DeltaClient, type DeltaClientDeps } from "#common/xds/delta-client.ts";
import type { DiscoveryNode } from "#common/xds/discovery-rpc.ts";
import { NameSubscription } from "#common/xds/name-subscription.ts";
import {
  type CapturedPodsListener,
  meshHandlers,
  type StateListener,
} from "#common/xds/state-feed.ts";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE } from "#common/xds/type-urls.ts";
import type { ListenerSink } from "./capture/listener-sink.ts";
import type { AddressAnswers } from "./proxy/worker-protocol.ts";

export interface MeshSubscriptionDeps
  extends Pick<DeltaClientDeps, "channel" | "logger" | "counters" | "onConnected"> {
  readonly onState: StateListener;
  /** Undefined where somebody else says which pods there are. */
  readonly onCapturedPods: CapturedPodsListener | undefined;
  /** What was asked for by `ask` is answered; the state has been told before. */
  readonly onAnswers: (answers: AddressAnswers) => void;
  /** Once: enough is known to take connections. */
  readonly onSynced: () => void;
  readonly rootNamespace: string;
  readonly registry: Registry;
}

export class MeshSubscription {
  readonly client: DeltaClient;
  readonly #deps: MeshSubscriptionDeps;
  /** Undefined where everything is subscribed to. */
  readonly #names: NameSubscription | undefined;
  readonly #lookUps: Counter | undefined;

  constructor(onDemand: boolean, node: DiscoveryNode, deps: MeshSubscriptionDeps) {
    this.#deps = deps;
    if (onDemand) {
      this.#lookUps = lookUpCounter(deps.registry);
      this.#names = new NameSubscription((answers) => this.#answer({ ...answers, refused: [] }));
    }
    const unanswered = new Set<string>([AUTHORIZATION_TYPE, ...(onDemand ? [] : [ADDRESS_TYPE])]);
    const { channel, logger, counters, onConnected, onSynced, ...feed } = deps;
    const { rootNamespace } = feed;
    this.client = new DeltaClient(
      {
        channel,
        handlers: meshHandlers(feed.onState, feed.onCapturedPods, { rootNamespace }, this.#names),
        logger,
        counters,
        ...(onConnected && { onConnected }),
        onSynced: (typeUrl) => {
          if (unanswered.delete(typeUrl) && unanswered.size === 0) onSynced();
        },
      },
      node,
    );
  }

  /** A data worker needs to know who has this name or alias. */
  ask(name: string): void {
    const outcome = this.#names?.ask(name);
    const nothing = { found: [], absent: [], forgotten: [], refused: [] };
    if (outcome === "absent") this.#answer({ ...nothing, absent: [name] });
    if (outcome === "limit") this.#answer({ ...nothing, refused: [name] });
  }

  /** `sink`, with each pod's own record subscribed to as long as the pod is served. */
  following(sink: ListenerSink): ListenerSink {
    const names = this.#names;
    if (names === undefined) return sink;
    const workloads = new Map<string, string>();
    return {
      add: (pod: CapturedPod, netns, listeners) => {
        workloads.set(pod.uid, pod.workloadUid);
        names.keep(pod.workloadUid);
        return sink.add(pod, netns, listeners);
      },
      remove: async (podUid) => {
        await sink.remove(podUid);
        const workload = workloads.get(podUid);
        workloads.delete(podUid);
        // A pod that was made anew has the same name.
        if (workload === undefined || [...workloads.values()].includes(workload)) return;
        names.release(workload);
      },
    };
  }

  #answer(answers: AddressAnswers): void {
    const { found, absent, refused } = answers;
    for (const [result, { length }] of Object.entries({ found, absent, refused })) {
      if (length > 0) this.#lookUps?.inc({ result }, length);
    }
    this.#deps.onAnswers(answers);
  }
}

function lookUpCounter(registry: Registry): Counter {
  return new Counter({
    name: "ambient_on_demand_look_ups_total",
    help: "Names that the control plane said something of because they were asked for",
    labelNames: ["result"],
    registers: [registry],
  });
}
