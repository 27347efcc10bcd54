/**
 * The pods that an istio-cni agent has handed over: listeners made in the namespaces it sends, a
 * snapshot compared with what there is, and attempts repeated for what failed. The rules in the
 * pods are the agent's. Source of the semantics: istio/ztunnel src/inpod/statemanager.rs.
 */
import fs from "node:fs";
import type { CapturedPod, CaptureState } from "#common/model/captured-pod.ts";
import type { ZdsRequest, ZdsWorkloadInfo } from "#common/model/zds.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { ListenerSink } from "#ztunnel/capture/listener-sink.ts";
import { addressesIn } from "#ztunnel/capture/netns-addresses.ts";
import { hasIpv6 } from "#ztunnel/capture/netns-ipv6.ts";
import { openPodListeners } from "#ztunnel/capture/pod-listeners.ts";
import { ZDS_PODS_MAX, ZDS_RETRY_INTERVAL_MS } from "#ztunnel/limits.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";

export interface ZdsPodsDeps {
  readonly sys: Syscalls;
  readonly sink: ListenerSink;
  readonly log: Logger;
  /** Data workers; each gets listeners of its own. */
  readonly workers: number;
  /** The uid of a pod's Workload. */
  readonly workloadUid: (info: ZdsWorkloadInfo) => string;
}

export interface ZdsPodCounters {
  readonly active: number;
  readonly pending: number;
  /** Since the start. */
  readonly started: number;
  readonly stopped: number;
}

interface Entry {
  readonly pod: CapturedPod;
  readonly netns: Netns;
  listening: boolean;
}

/** Linux magic.h: the file system of namespaces. */
const NSFS_MAGIC = 0x6e736673;

export class ZdsPods {
  readonly #deps: ZdsPodsDeps;
  readonly #entries = new Map<string, Entry>();
  /** What the present connection has mentioned so far; undefined once its snapshot is complete. */
  #mentioned: Set<string> | undefined = new Set();
  #connected = false;
  #taken = 0;
  #released = 0;
  #stopped = false;
  /** Requests and repeated attempts, one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;

  constructor(deps: ZdsPodsDeps) {
    this.#deps = deps;
  }

  /** A new connection: its snapshot starts from nothing. Pods that are served are still served. */
  connectionOpened(): void {
    this.#connected = true;
    this.#mentioned = new Set();
  }

  connectionClosed(): void {
    this.#connected = false;
  }

  /** Whether the agent is there, has said everything, and every pod of it is served. */
  isSettled(): boolean {
    return this.#connected && this.#mentioned === undefined && this.counters().pending === 0;
  }

  *pods(): Generator<{ readonly pod: CapturedPod; readonly state: CaptureState }> {
    for (const { pod, listening } of this.#entries.values()) {
      yield { pod, state: listening ? "enabled" : "pending" };
    }
  }

  counters(): ZdsPodCounters {
    const active = [...this.#entries.values()].filter(({ listening }) => listening).length;
    const pending = this.#entries.size - active;
    return { active, pending, started: this.#taken, stopped: this.#released };
  }

  /**
   * Does what is asked; `fd` is taken over. Resolves once it is done: for an `add`, once every data
   * worker accepts. Throws a MeshError otherwise: ZDS_POD_FAILED where it is tried again by itself,
   * ZDS_PROTOCOL where the agent broke the protocol.
   */
  apply(request: ZdsRequest, fd: number | undefined): Promise<void> {
    return this.#inTurn(() => this.#apply(request, fd));
  }

  /** Does nothing more by itself; resolves when what is under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.#last;
  }

  /** Lets the namespaces go; the listeners in them are the sink's. */
  async close(): Promise<void> {
    await this.stop();
    for (const { netns } of this.#entries.values()) this.#deps.sys.closeNetns(netns);
    this.#entries.clear();
  }

  async #apply(request: ZdsRequest, fd: number | undefined): Promise<void> {
    if (request.kind === "add") {
      if (fd === undefined) throw protocol(`add of ${request.uid} came without a namespace`);
      this.#mentioned?.add(request.uid);
      return this.#add(request.uid, request.info, this.#takeNetns(fd));
    }
    if (fd !== undefined) {
      fs.closeSync(fd);
      throw protocol(`${request.kind} came with a descriptor`);
    }
    if (request.kind === "del") {
      this.#mentioned?.delete(request.uid);
      return this.#remove(request.uid);
    }
    if (this.#mentioned === undefined) throw protocol(`${request.kind} came after the snapshot`);
    if (request.kind === "keep") this.#mentioned.add(request.uid);
    else await this.#reconcile(this.#mentioned);
  }

  /** Only now is what was not mentioned known to be gone. */
  async #reconcile(mentioned: ReadonlySet<string>): Promise<void> {
    for (const uid of [...this.#entries.keys()]) {
      if (!mentioned.has(uid)) await this.#remove(uid);
    }
    this.#mentioned = undefined;
  }

  async #add(uid: string, info: ZdsWorkloadInfo, netns: Netns): Promise<void> {
    const known = this.#entries.get(uid);
    if (known !== undefined && known.netns.id === netns.id) {
      this.#deps.sys.closeNetns(netns);
      if (known.listening) return;
      return this.#listen(known);
    }
    // The pod's sandbox was made anew: what listens in the old one serves nobody.
    if (known !== undefined) await this.#remove(uid);
    if (this.#entries.size >= ZDS_PODS_MAX) {
      this.#deps.sys.closeNetns(netns);
      throw new MeshError("ZDS_POD_FAILED", `this node has ${ZDS_PODS_MAX} pods already`);
    }
    const entry = { pod: this.#describe(uid, info, netns), netns, listening: false };
    this.#entries.set(uid, entry);
    await this.#listen(entry);
  }

  async #listen(entry: Entry): Promise<void> {
    const { sys, sink, workers, log } = this.#deps;
    const { pod, netns } = entry;
    try {
      const ipv6 = hasIpv6(sys, netns);
      await sink.add(pod, netns, openPodListeners(sys, netns, ipv6, workers));
      entry.listening = true;
      this.#taken++;
      log.info("pod received, listeners are in place", { pod: `${pod.namespace}/${pod.name}` });
    } catch (error) {
      await sink.remove(pod.uid);
      this.#retryLater();
      const message = `pod ${pod.namespace}/${pod.name} is not served yet`;
      throw new MeshError("ZDS_POD_FAILED", message, { cause: error });
    }
  }

  async #remove(uid: string): Promise<void> {
    const entry = this.#entries.get(uid);
    if (entry === undefined) return;
    this.#entries.delete(uid);
    await this.#deps.sink.remove(uid);
    this.#deps.sys.closeNetns(entry.netns);
    if (entry.listening) this.#released++;
    const { namespace, name } = entry.pod;
    this.#deps.log.info("pod removed", { pod: `${namespace}/${name}` });
  }

  /** One of ours keeps the namespace open and says which it is; the received one is closed. */
  #takeNetns(fd: number): Netns {
    const { sys } = this.#deps;
    const path = `/proc/self/fd/${fd}`;
    try {
      if (fs.statfsSync(path).type !== NSFS_MAGIC) throw protocol("the descriptor is no namespace");
      const netns = sys.openNetns(path);
      const own = sys.openNetns("/proc/thread-self/ns/net");
      sys.closeNetns(own);
      if (own.id !== netns.id) return netns;
      sys.closeNetns(netns);
      throw protocol("the descriptor is the node's own namespace, which is no pod's");
    } finally {
      fs.closeSync(fd);
    }
  }

  #describe(uid: string, info: ZdsWorkloadInfo, netns: Netns): CapturedPod {
    const ips = [...addressesIn(this.#deps.sys, netns)].filter((ip) => !ip.startsWith("fe80:"));
    const workloadUid = this.#deps.workloadUid(info);
    return { uid, ...info, ips, workloadUid, bypassInboundCapture: false, dnsCapture: true };
  }

  #retryLater(): void {
    if (this.#stopped) return;
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      void this.#inTurn(() => this.#retryPending());
    }, ZDS_RETRY_INTERVAL_MS);
  }

  async #retryPending(): Promise<void> {
    for (const entry of [...this.#entries.values()]) {
      if (entry.listening) continue;
      try {
        await this.#listen(entry);
      } catch (error) {
        this.#deps.log.warn("another attempt failed", { why: describeError(error) });
      }
    }
  }

  #inTurn<Result>(action: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

function protocol(message: string): MeshError {
  return new MeshError("ZDS_PROTOCOL", message, {
    hint: "compare the versions of the CNI agent and of this ztunnel",
  });
}
