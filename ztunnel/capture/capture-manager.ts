/**
 * Keeps the pods of this node captured that have to be: takes the wanted set from the control
 * plane, works on a few pods at a time, looks at captured ones when something happens to them and
 * every few seconds, and says what became of each.
 */
import type { CapturedPod, CaptureState, PodReport } from "#common/model/captured-pod.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { PodCaptureDependencies } from "./attachment.ts";
import { type Entry, nameOf, newEntry } from "./capture-entry.ts";
import type { CaptureOutcome } from "./capture-outcome.ts";
import { CaptureWaiters } from "./capture-waiters.ts";
import { bidFarewell, releaseNow } from "./farewell.ts";
import type { HostProbes } from "./host-probes.ts";
import {
  CAPTURE_CHECK_INTERVAL_MS,
  CAPTURE_CONCURRENCY,
  CAPTURE_FAILED_AFTER,
  REPAIR_INTERVAL_MS,
} from "./limits.ts";
import { PodCapture } from "./pod-capture.ts";
import { PodReports } from "./pod-reports.ts";
import type { Problem } from "./pod-rules.ts";
import { type CaptureCounters, RepairCounters } from "./repair-counters.ts";
import { WorkQueue } from "./work-queue.ts";

export interface CaptureManagerOptions extends Omit<PodCaptureDependencies, "probes"> {
  readonly probes: HostProbes;
  /** Receives the pods whose state or message changed, soon after it did. */
  readonly report: (changes: readonly PodReport[]) => void;
  /** Default 4 s. */
  readonly checkIntervalMs?: number;
}

/** The key of the node's probe rules in the work queue; no pod uid has a slash. */
const PROBES_KEY = "node/probes";

export class CaptureManager {
  readonly #options: CaptureManagerOptions;
  readonly #wanted = new Map<string, CapturedPod>();
  readonly #entries = new Map<string, Entry>();
  readonly #reports: PodReports;
  readonly #queue: WorkQueue;
  readonly #sandboxes: { close(): void } | undefined;
  readonly #repairs = new RepairCounters();
  readonly #waiters = new CaptureWaiters();
  #snapshotComplete = false;
  #failures = 0;

  constructor(options: CaptureManagerOptions) {
    this.#options = options;
    this.#reports = new PodReports(options.report);
    this.#queue = new WorkQueue(CAPTURE_CONCURRENCY, (key) =>
      key === PROBES_KEY ? this.#workOnProbes() : this.#workOnPod(key),
    );
    this.#queue.add(PROBES_KEY);
    this.#sandboxes = options.finder.watch((uid) => {
      if (this.#wanted.has(uid)) this.#queue.add(uid);
    });
  }

  /** A change of the wanted set. Pods that are not mentioned stay as they are. */
  apply(upserts: readonly CapturedPod[], removedUids: readonly string[]): void {
    for (const pod of upserts) {
      this.#wanted.set(pod.uid, pod);
      this.#entries.get(pod.uid)?.backoff.reset();
      this.#queue.add(pod.uid);
    }
    for (const uid of removedUids) {
      if (!this.#wanted.delete(uid)) continue;
      this.#entries.get(uid)?.backoff.reset();
      this.#queue.add(uid);
    }
  }

  /** As `apply`. Resolves with "" when captured, with what is missing when the signal aborts. */
  async capture(pod: CapturedPod, signal: AbortSignal): Promise<string> {
    const captured = this.#waiters.wait(pod.uid, signal);
    this.apply([pod], []);
    if (await captured) return "";
    return this.#reports.get(pod.uid)?.message || "it took too long";
  }

  /**
   * The control plane has said all it knows. Probe exceptions that an earlier process left for pods
   * not wanted now are dropped, except after an empty snapshot, which may be a mistake.
   */
  setSnapshotComplete(): void {
    this.#snapshotComplete = true;
    this.#queue.add(PROBES_KEY);
  }

  /** Whether every pod of a complete snapshot has been dealt with once: the node can be ready. */
  isSettled(): boolean {
    return (
      this.#snapshotComplete && [...this.#wanted.keys()].every((uid) => this.#reports.get(uid))
    );
  }

  /** The state of every pod. */
  reports(): readonly PodReport[] {
    return this.#reports.all();
  }

  /** Every wanted pod with what became of it so far. */
  *pods(): Generator<{ readonly pod: CapturedPod; readonly state: CaptureState }> {
    for (const [uid, pod] of this.#wanted) yield { pod, state: this.#reports.stateOf(uid) };
  }

  counters(): CaptureCounters {
    const captured = this.reports().filter(({ state }) => state === "enabled").length;
    return {
      captured,
      pending: this.#wanted.size - captured,
      repairs: this.#repairs.byReason,
      endedConnections: this.#repairs.endedConnections,
      failures: this.#failures,
    };
  }

  /**
   * Changes nothing any more. Rules stay in place, so that a restart opens nothing; the sink still
   * has its listeners, and the namespaces that its connections need. Only a pod that is leaving the
   * mesh is let go of at once: the next process would know nothing of it.
   */
  async stop(): Promise<void> {
    this.#sandboxes?.close();
    await this.#queue.close();
    this.#reports.close();
    const retired = [...this.#entries.values()].filter(({ isRetired }) => isRetired);
    await Promise.all(retired.map((entry) => releaseNow(entry, this.#options.log)));
  }

  /** Stops, and gives every pod and the node their own network back: the mesh leaves the node. */
  async leave(): Promise<void> {
    this.#sandboxes?.close();
    await this.#queue.close();
    const entries = [...this.#entries.values()];
    for (const map of [this.#entries, this.#wanted]) map.clear();
    const { log, probes } = this.#options;
    await bidFarewell(entries, log, (entry) => this.#report(entry, "disabled", ""));
    await probes.remove();
  }

  /** Stops, and lets the pods' namespaces go. */
  async close(): Promise<void> {
    await this.stop();
    for (const { capture } of this.#entries.values()) capture.abandon();
    this.#entries.clear();
  }

  async #workOnPod(uid: string): Promise<void> {
    const pod = this.#wanted.get(uid);
    try {
      await (pod === undefined ? this.#release(uid) : this.#ensure(pod));
    } catch (error) {
      this.#threw(uid, describeError(error));
    }
  }

  async #ensure(pod: CapturedPod): Promise<void> {
    const entry = this.#entryOf(pod);
    const captured = this.#waiters.attempt(pod.uid);
    const outcome = await entry.capture.ensure(pod);
    if (outcome.kind === "absent") {
      this.#failed(entry, "pending", outcome.message);
    } else if (outcome.kind === "unstable") {
      entry.isHeldBack = true;
      if (entry.capture.isUnstable) this.#isUnstable(entry, outcome.problems);
      this.#queue.addAfter(pod.uid, outcome.retryInMs);
    } else {
      this.#isCaptured(entry, outcome);
      captured();
    }
  }

  #isCaptured(entry: Entry, { mended, ended }: CaptureOutcome & { kind: "captured" }): void {
    const { pod, capture } = entry;
    entry.isHeldBack = false;
    entry.failures = 0;
    entry.backoff.reset();
    if (mended.length > 0) this.#countRepair(entry, mended, ended);
    if (!capture.isUnstable) entry.unstable = "";
    this.#report(entry, "enabled", entry.unstable);
    this.#queue.addAfter(pod.uid, this.#untilNextLook());
  }

  #countRepair(entry: Entry, mended: readonly Problem[], ended: number): void {
    const repairs = this.#repairs.countOfPod(entry.repairs, mended, ended);
    entry.repairs = repairs;
    const fields = { pod: nameOf(entry.pod), found: repairs.last, endedConnections: ended };
    this.#options.log.warn("capture was lost and has been repaired", fields);
  }

  /** Whoever takes the capture away again and again has to be found: said once, and on the pod. */
  #isUnstable(entry: Entry, problems: readonly Problem[]): void {
    if (entry.unstable === "") {
      const found = problems.map((problem) => problem.found).join("; ");
      const everyS = REPAIR_INTERVAL_MS / 1000;
      entry.unstable = `lost again and again, put back every ${everyS} s: ${found}`;
      this.#options.log.error("somebody keeps taking a pod's capture away", {
        pod: nameOf(entry.pod),
        found,
        repairs: entry.repairs?.count ?? 0,
        hint: "see who changes the rules: nsenter -t PID -n nft monitor",
      });
    }
    this.#report(entry, this.#reports.stateOf(entry.pod.uid), entry.unstable);
  }

  async #release(uid: string): Promise<void> {
    const entry = this.#entries.get(uid);
    if (entry === undefined) return;
    const isNews = !entry.isRetired;
    const restMs = await entry.capture.retire();
    if (restMs > 0) {
      entry.isRetired = true;
      entry.isHeldBack = true;
      this.#queue.addAfter(uid, restMs);
    } else {
      await entry.capture.release();
      this.#entries.delete(uid);
    }
    if (isNews) this.#report(entry, "disabled", "");
  }

  #entryOf(pod: CapturedPod): Entry {
    const known = this.#entries.get(pod.uid);
    if (known !== undefined) {
      known.pod = pod;
      known.isRetired = false;
      return known;
    }
    const capture = new PodCapture(this.#options, () => {
      if (!entry.isHeldBack) this.#queue.add(pod.uid);
    });
    const entry = newEntry(pod, capture);
    this.#entries.set(pod.uid, entry);
    return entry;
  }

  /**
   * For lack of descriptors, say: a pod that peers reach by HBONE stays announced, or they would be
   * told to send plaintext. After a few it is said there.
   */
  #threw(uid: string, message: string): void {
    const entry = this.#entries.get(uid);
    if (entry === undefined) return;
    entry.failures++;
    entry.isHeldBack = true;
    const isForGood = entry.failures >= CAPTURE_FAILED_AFTER;
    if (!entry.capture.isListening || this.#reports.stateOf(uid) !== "enabled") {
      this.#failed(entry, isForGood ? "failed" : "pending", message);
      return;
    }
    this.#failures++;
    const pod = nameOf(entry.pod);
    this.#options.log.warn("the capture of a pod could not be checked", { pod, message });
    if (isForGood) this.#report(entry, "enabled", `could not be checked: ${message}`);
    this.#queue.addAfter(uid, entry.backoff.next());
  }

  #failed(entry: Entry, state: CaptureState, message: string): void {
    const { pod, backoff } = entry;
    this.#failures++;
    if (this.#reports.get(pod.uid)?.message !== message) {
      this.#options.log.warn("pod is not captured yet", { pod: nameOf(pod), message });
    }
    this.#report(entry, state, message);
    this.#queue.addAfter(pod.uid, backoff.next());
  }

  #report({ pod, repairs }: Entry, state: CaptureState, message: string): void {
    this.#reports.set(pod, { state, message, ...(repairs === undefined ? {} : { repairs }) });
  }

  async #workOnProbes(): Promise<void> {
    const { probes, log } = this.#options;
    try {
      if (this.#snapshotComplete && this.#wanted.size > 0 && !probes.exact) {
        const pods = [...this.#wanted.values()];
        await Promise.all(pods.map(({ uid, ips }) => probes.admit(uid, ips)));
        await probes.forgetOthers();
      }
      if (await probes.check()) {
        this.#repairs.count("probe-rules");
        log.warn("the node's probe rules were lost and have been put back");
      }
    } catch (error) {
      this.#failures++;
      log.warn("probes of the node are not let through", { error: describeError(error) });
    }
    this.#queue.addAfter(PROBES_KEY, this.#untilNextLook());
  }

  /** Pods that were captured at once are not looked at at once. */
  #untilNextLook(): number {
    const { checkIntervalMs = CAPTURE_CHECK_INTERVAL_MS } = this.#options;
    return checkIntervalMs * (1 - Math.random() / 4);
  }
}
