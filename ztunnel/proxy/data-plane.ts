/** Everything one data worker does, free of threads and messages: pods in, connections through. */
import type { Http2Session } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { ProxyState, type StateUpdate } from "#common/mesh-state/proxy-state.ts";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { type Identity, makeIdentity, type TrustDomains } from "#common/model/identity.ts";
import type { RevocationList } from "#common/tls/crl.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { CertificateStore } from "#common/transport/certificate-store.ts";
import { failure } from "#common/transport/failure.ts";
import { FlushBatcher } from "#common/transport/flush-batcher.ts";
import { PeerWatch } from "#common/transport/peer-watch.ts";
import { type StalledBounds, StalledStreams } from "#common/transport/stalled-streams.ts";
import { TunnelKeepalive } from "#common/transport/tunnel-keepalive.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { DEFAULT_TUNING, type Tuning } from "#ztunnel/tuning.ts";
import { DRAIN_CUT_MS, DRAIN_NOTICE_MS, LIVE_BYTES_INTERVAL_MS } from "../limits.ts";
import { Capacity, type CapacityBounds } from "./capacity.ts";
import { type ConnectionReporter, ConnectionTracker } from "./connection-tracker.ts";
import { Dialer } from "./dial.ts";
import { HostResolver, type LookUpHost, nodeLookUp } from "./host-resolver.ts";
import { LookUps } from "./look-ups.ts";
import type { WorkerContext } from "./pod-context.ts";
import { type PodListeners, PodProxy } from "./pod-proxy.ts";
import { bestRawTcp } from "./raw-tcp.ts";
import { SlabPool } from "./read-buffers.ts";
import { Reauthorizer } from "./reauthorizer.ts";
import { LocalPods } from "./same-node.ts";
import { StateQueue } from "./state-queue.ts";
import { StateWaiter } from "./state-waiter.ts";
import type { AddressAnswers } from "./worker-protocol.ts";

export interface DataPlaneOptions {
  readonly trustDomains: TrustDomains;
  /** This node's network; "" is the default network. */
  readonly network: string;
  /** Whose services come after those of a client's own namespace; "" or absent for nobody's. */
  readonly preferredServiceNamespace?: string;
  /** Whose policies may cover the whole mesh. @default "istio-system" */
  readonly rootNamespace?: string;
  /** @default DEFAULT_TUNING */
  readonly tuning?: Tuning;
  /** @default true: applications see the address of their real client. */
  readonly keepSourceAddress: boolean;
  /** @default true: pods of this node reach each other without a tunnel in between. */
  readonly sameNodeFastPath: boolean;
  /** @default false: all of the mesh is known, and nothing is looked up */
  readonly onDemand?: boolean;
  /** @default those of limits.ts */
  readonly capacity?: CapacityBounds;
  readonly stalled?: StalledBounds;
}

export interface DataPlaneDeps {
  readonly syscalls: Syscalls;
  readonly reporter: ConnectionReporter;
  /** Asks the control thread for a certificate; it arrives by `putCertificate`. */
  readonly requestCertificate: (identity: Identity) => void;
  /** Asks the control plane for an xDS name; `addressesAnswered` follows. */
  readonly askAddress: (name: string) => void;
  readonly random: () => number;
  /** @default asks the name servers of this process's /etc/resolv.conf */
  readonly lookUpHost?: LookUpHost;
}

export class DataPlane {
  readonly #deps: DataPlaneDeps;
  readonly #context: WorkerContext;
  readonly #pods = new Map<string, PodProxy>();
  readonly #reauthorizer: Reauthorizer;
  readonly #updates = new StateQueue({ apply: (update) => this.#apply(update) });
  readonly #keepalive: TunnelKeepalive;
  readonly #sweeper: NodeJS.Timeout;
  #draining = false;

  constructor(options: DataPlaneOptions, deps: DataPlaneDeps) {
    this.#deps = deps;
    const state = new ProxyState(options);
    this.#reauthorizer = new Reauthorizer({ state });
    const tracker = new ConnectionTracker(deps.reporter, this.#reauthorizer);
    this.#context = {
      state,
      waiter: new StateWaiter(state),
      certificates: new CertificateStore(deps.requestCertificate, ({ certificate }) =>
        this.#rotated(certificate),
      ),
      lookUps: options.onDemand ? new LookUps({ state, ask: deps.askAddress, now }) : undefined,
      peers: new PeerWatch(),
      hosts: new HostResolver({
        lookUp: deps.lookUpHost ?? nodeLookUp(),
        now,
        onLookUp: () => deps.reporter.hostLookedUp(),
      }),
      ...carriers(deps.syscalls),
      tracker,
      capacity: new Capacity(tracker, options.capacity),
      stalled: new StalledStreams(options.stalled),
      trustDomains: options.trustDomains,
      random: deps.random,
      tuning: options.tuning ?? DEFAULT_TUNING,
      keepSourceAddress: options.keepSourceAddress,
      localPods: options.sameNodeFastPath ? new LocalPods() : undefined,
    };
    this.#keepalive = new TunnelKeepalive(() => this.#sessions());
    this.#keepalive.start();
    this.#sweeper = setInterval(() => this.#sweep(), LIVE_BYTES_INTERVAL_MS);
    this.#sweeper.unref();
  }

  /** Takes the update in within the next turns of the event loop; in the order of the calls. */
  applyState(update: StateUpdate): void {
    this.#updates.push(update);
  }

  /** Resolves when the updates of all calls until now are in force. */
  whenApplied(): Promise<void> {
    return this.#updates.whenIdle();
  }

  #apply(update: StateUpdate): void {
    const change = this.#context.state.apply(update);
    for (const uid of change.rebound) {
      for (const pod of this.#pods.values()) pod.pool.evictWorkload(uid);
    }
    this.#context.waiter.stateChanged();
    this.#reauthorizer.stateChanged(change);
  }

  /** What the control plane says of names that were asked for. */
  addressesAnswered(answers: AddressAnswers): void {
    this.#context.lookUps?.answered(answers);
  }

  /** Memory is short, or no longer: new connections are refused meanwhile. */
  setMemoryIsShort(short: boolean): void {
    this.#context.capacity.memoryIsShort = short;
  }

  putCertificate(certificate: WorkloadCertificate): void {
    this.#context.certificates.put(certificate);
  }

  /** Revoked peers are refused from now on, and those that are connected are cut off. */
  setRevocations(lists: readonly RevocationList[]): void {
    this.#context.peers.setLists(lists);
  }

  /**
   * Serves a pod on its listeners. One that is served in this very namespace gets them in place of
   * those it has; in another one it is replaced, with all its connections.
   */
  async addPod(pod: CapturedPod, netns: Netns, listeners: PodListeners): Promise<void> {
    const served = this.#pods.get(pod.uid);
    if (served?.context.netns.fd === netns.fd && served.context.netns.id === netns.id) {
      return served.relisten(listeners);
    }
    await this.removePod(pod.uid);
    const proxy = new PodProxy({ ...this.#context, pod, netns }, this.#deps.syscalls);
    this.#pods.set(pod.uid, proxy);
    const identity = makeIdentity(this.#context.trustDomains[0], pod.namespace, pod.serviceAccount);
    const stored = this.#context.certificates.peek(identity);
    if (stored === undefined) this.#deps.requestCertificate(identity);
    else proxy.setCertificate(stored.certificate);
    await proxy.listen(listeners);
    this.#context.localPods?.add(proxy.context);
  }

  /** Resolves when the pod's last connection is over. */
  async removePod(uid: string): Promise<void> {
    const proxy = this.#pods.get(uid);
    if (proxy === undefined) return;
    this.#pods.delete(uid);
    this.#context.localPods?.remove(proxy.context);
    await proxy.destroy();
  }

  /** Stops accepting, lets connections end until the deadline, cuts the rest. */
  async drain(deadlineMs: number): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    const noticeMs = Math.min(DRAIN_NOTICE_MS, deadlineMs);
    for (const proxy of this.#pods.values()) proxy.drain(noticeMs);
    const { tracker } = this.#context;
    const why = failure("drain-timeout", "connection failed to drain within the timeout");
    const late = setTimeout(() => tracker.abort(() => why), deadlineMs);
    await Promise.race([
      tracker.whenIdle(),
      sleep(deadlineMs + DRAIN_CUT_MS, undefined, { ref: false }),
    ]);
    clearTimeout(late);
    await Promise.all([...this.#pods.keys()].map((uid) => this.removePod(uid)));
    this.#keepalive.stop();
    clearInterval(this.#sweeper);
  }

  get tracker(): ConnectionTracker {
    return this.#context.tracker;
  }

  #rotated(certificate: WorkloadCertificate): void {
    for (const proxy of this.#pods.values()) {
      const { namespace, serviceAccount } = proxy.context.pod;
      const identity = makeIdentity(this.#context.trustDomains[0], namespace, serviceAccount);
      if (identity.uri === certificate.identity.uri) proxy.setCertificate(certificate);
    }
  }

  #sweep(): void {
    this.#context.tracker.reportProgress();
    const now = Date.now();
    this.#context.peers.sweep(now);
    for (const proxy of this.#pods.values()) {
      proxy.pool.closeIdle(now);
      proxy.hbone.sweep();
    }
  }

  *#sessions(): Generator<Http2Session> {
    for (const proxy of this.#pods.values()) {
      yield* proxy.hbone.sessions();
      for (const tunnel of proxy.pool.tunnels()) yield tunnel.session;
    }
  }
}

/** What all connections are carried by. */
function carriers(syscalls: Syscalls): Pick<WorkerContext, "batcher" | "tcp" | "dialer"> {
  const batcher = new FlushBatcher();
  const tcp = { batcher, slabs: new SlabPool(), syscalls, rawTcp: bestRawTcp() };
  return { batcher, tcp, dialer: new Dialer(syscalls, tcp) };
}

function now(): number {
  return performance.now();
}
