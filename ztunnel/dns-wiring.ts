/** The DNS proxy as ztunnel puts it together: in the control thread, beside its state. */
import type { Registry } from "prom-client";
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { ListenerSink } from "./capture/listener-sink.ts";
import type { ZtunnelConfig } from "./config.ts";
import { DnsMetrics } from "./dns/dns-metrics.ts";
import { DnsProxy } from "./dns/dns-proxy.ts";
import { NodeQueries } from "./dns/in-flight.ts";
import type { PodProcesses } from "./node/pod-processes.ts";
import { resolvConfLocator } from "./node-access.ts";
import { createLinuxSyscalls } from "./sys/linux.ts";

export interface DnsWiringDeps {
  /** By which the pods' own files are found. */
  readonly processes: PodProcesses;
  readonly state: ProxyState;
  readonly registry: Registry;
  /** The control plane has said once what the mesh knows. */
  readonly synced: Synced;
}

/** Something that happens once. */
export class Synced {
  readonly #resolvers = Promise.withResolvers<void>();
  #done = false;

  get isDone(): boolean {
    return this.#done;
  }
  get promise(): Promise<void> {
    return this.#resolvers.promise;
  }
  done(): void {
    this.#done = true;
    this.#resolvers.resolve();
  }

  /**
   * `sink`, from then on. A ztunnel that took a pod's connections before it has been told of the
   * mesh would not know where they go nor who may call: they wait in the listeners' queues instead.
   * A pod that still waits when `stopping` aborts is refused: a drain must not wait for istiod.
   */
  gate(sink: ListenerSink, stopping: AbortSignal): ListenerSink {
    const stopped = new Promise<void>((resolve) => {
      stopping.addEventListener("abort", () => resolve(), { once: true });
    });
    return {
      add: async (pod, netns, listeners) => {
        await Promise.race([this.promise, stopped]);
        if (!this.isDone) {
          const message = `pod ${pod.namespace}/${pod.name} waited for istiod when ztunnel stopped`;
          throw new MeshError("STOPPING", message);
        }
        await sink.add(pod, netns, listeners);
      },
      remove: (podUid) => sink.remove(podUid),
    };
  }
}

/** Undefined where ISTIO_META_DNS_CAPTURE turns it off. */
export function createDnsProxy(config: ZtunnelConfig, deps: DnsWiringDeps): DnsProxy | undefined {
  if (!config.dnsProxy) return undefined;
  const { state, registry, synced } = deps;
  return new DnsProxy({
    state,
    syscalls: createLinuxSyscalls(),
    metrics: new DnsMetrics(registry),
    queries: new NodeQueries(),
    options: {
      clusterDomain: config.clusterDomain.split("."),
      ipv6: config.ipv6,
      knowsAllEndpoints: !config.xdsOnDemand,
    },
    network: config.network,
    synced: synced.promise,
    isSynced: () => synced.isDone,
    locateResolvConf: resolvConfLocator(config, deps.processes),
    random: Math.random,
  });
}

/** Pods that are captured with their DNS have it served before their rules send it anywhere. */
export function withDns(sink: ListenerSink, dns: DnsProxy | undefined): ListenerSink {
  if (dns === undefined) return sink;
  return {
    add: async (pod, netns, listeners) => {
      await sink.add(pod, netns, listeners);
      if (pod.dnsCapture) await dns.add(pod, netns);
    },
    remove: async (podUid) => {
      dns.remove(podUid);
      await sink.remove(podUid);
    },
  };
}

/** The pods as they are to be captured: nobody's DNS where there is nobody to serve it. */
export function withDnsOf(
  pods: readonly CapturedPod[],
  dns: DnsProxy | undefined,
): readonly CapturedPod[] {
  return dns === undefined ? pods.map((pod) => ({ ...pod, dnsCapture: false })) : pods;
}
