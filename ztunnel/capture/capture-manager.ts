/**
 * Keeps the pods of this node captured that have to be: takes the wanted set from the control
 * plane, works on a few pods at a time, checks captured ones every few seconds, and says what
 * became of each.
 */
import type { CapturedPod, CaptureState, PodReport } from "#common/model/captured-pod.ts";
import { Backoff } from "#common/runtime/backoff.ts";
import { describeError } from "#common/runtime/errors.ts";
import {
  CAPTURE_BACKOFF_INITIAL_MS,
  CAPTURE_BACKOFF_MAX_MS,
  CAPTURE_CHECK_INTERVAL_MS,
  CAPTURE_CONCURRENCY,
  CAPTURE_REPORT_DELAY_MS,
  CAPTURE_WATCH_INTERVAL_MS,
} from "#ztunnel/limits.ts";
import type { HostProbes } from "./host-probes.ts";
import { PodCapture, type PodCaptureDependencies } from "./pod-capture.ts";
import { WorkQueue } from "./work-queue.ts";

export interface CaptureManagerOptions extends Omit<PodCaptureDependencies, "probes"> {
  readonly probes: HostProbes;
  /** Receives the pods whose state or message changed, soon after it did. */
  readonly report: (changes: readonly PodReport[]) => void;
  /** Default 5 s. */
  readonly checkIntervalMs?: number;
}

export interface CaptureCounters {
  /** Pods whose rules and listeners are in place. */
  readonly captured: number;
  /** Pods that are wanted and not captured yet. */
  readonly pending: number;
  /** Times lost rules were put back, since the start. */
  readonly repairs: number;
  /** Attempts that failed, since the start. */
  readonly failures: number;
}

interface Entry {
  readonly capture: PodCapture;
  readonly backoff: Backoff;
  /** The last pod record; needed to report after the pod is no longer wanted. */
  pod: CapturedPod;
}

/** The key of the node's probe rules in the work queue; no pod uid has a slash. */
const PROBES_KEY = "node/probes";

export class CaptureManager {
  readonly #options: CaptureManagerOptions;
  readonly #checkIntervalMs: number;
  readonly #wanted = new Map<string, CapturedPod>();
  readonly #entries = new Map<string, Entry>();
  readonly #reports = new Map<string, PodReport>();
  readonly #changed = new Set<string>();
  readonly #queue: WorkQueue;
  readonly #watch: NodeJS.Timeout;
  #reportTimer: NodeJS.Timeout | undefined;
  #snapshotComplete = false;
  #repairs = 0;
  #failures = 0;

  constructor(options: CaptureManagerOptions) {
    this.#options = options;
    this.#checkIntervalMs = options.checkIntervalMs ?? CAPTURE_CHECK_INTERVAL_MS;
    this.#queue = new WorkQueue(CAPTURE_CONCURRENCY, (key) =>
      key === PROBES_KEY ? this.#workOnProbes() : this.#workOnPod(key),
    );
    this.#queue.add(PROBES_KEY);
    this.#watch = setInterval(() => this.#checkChanged(), CAPTURE_WATCH_INTERVAL_MS);
    this.#watch.unref();
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

  /**
   * The control plane has said everything it knows. Probe exceptions that an earlier process left
   * for pods not wanted now are dropped, except after an empty snapshot, which may be a mistake.
   */
  setSnapshotComplete(): void {
    this.#snapshotComplete = true;
    this.#queue.add(PROBES_KEY);
  }

  /** Whether every pod of a complete snapshot has been dealt with once: the node can be ready. */
  isSettled(): boolean {
    return (
      this.#snapshotComplete && [...this.#wanted.keys()].every((uid) => this.#reports.has(uid))
    );
  }

  /** The state of every pod, for a control plane that has just connected. */
  reports(): readonly PodReport[] {
    return [...this.#reports.values()];
  }

  /** Every wanted pod with what became of it so far. */
  *pods(): Generator<{ readonly pod: CapturedPod; readonly state: CaptureState }> {
    for (const [uid, pod] of this.#wanted) {
      yield { pod, state: this.#reports.get(uid)?.state ?? "pending" };
    }
  }

  counters(): CaptureCounters {
    const captured = this.reports().filter(({ state }) => state === "enabled").length;
    const pending = this.#wanted.size - captured;
    return { captured, pending, repairs: this.#repairs, failures: this.#failures };
  }

  /**
   * Stops. Rules stay in place, so that a restart opens nothing. The sink still has its listeners,
   * and the namespaces stay open for connections that go on.
   */
  async stop(): Promise<void> {
    clearInterval(this.#watch);
    await this.#queue.close();
    clearTimeout(this.#reportTimer);
  }

  /** Stops, and lets the pods' namespaces go. */
  async close(): Promise<void> {
    await this.stop();
    for (const { capture } of this.#entries.values()) capture.abandon();
    this.#entries.clear();
  }

  /** Does not wait for the next check of a pod whose rules may be gone: it may be open. */
  #checkChanged(): void {
    for (const [uid, { capture }] of this.#entries) {
      if (capture.mayHaveLostRules()) this.#queue.add(uid);
    }
  }

  async #workOnPod(uid: string): Promise<void> {
    const pod = this.#wanted.get(uid);
    try {
      await (pod === undefined ? this.#release(uid) : this.#ensure(pod));
    } catch (error) {
      if (pod === undefined) this.#failed(uid, describeError(error));
      else this.#threw(pod, describeError(error));
    }
  }

  /**
   * A check that could not be made, for lack of descriptors say, says nothing about the capture: a
   * pod that peers reach by HBONE stays announced, or they would be told to send plaintext.
   */
  #threw({ uid, namespace, name }: CapturedPod, message: string): void {
    const entry = this.#entries.get(uid);
    if (!entry?.capture.isListening || this.#reports.get(uid)?.state !== "enabled") {
      this.#failed(uid, message);
      return;
    }
    this.#failures++;
    const fields = { pod: `${namespace}/${name}`, message };
    this.#options.log.warn("the capture of a pod could not be checked", fields);
    this.#queue.addAfter(uid, entry.backoff.next());
  }

  async #ensure(pod: CapturedPod): Promise<void> {
    const entry = this.#entryOf(pod);
    const outcome = await entry.capture.ensure(pod);
    if (outcome.repaired) this.#repairs++;
    if (!outcome.captured) return this.#failed(pod.uid, outcome.message);
    entry.backoff.reset();
    this.#setReport(pod, "enabled", "");
    this.#queue.addAfter(pod.uid, this.#checkIntervalMs);
  }

  async #release(uid: string): Promise<void> {
    const entry = this.#entries.get(uid);
    if (entry === undefined) return;
    await entry.capture.release();
    this.#entries.delete(uid);
    this.#setReport(entry.pod, "disabled", "");
  }

  #entryOf(pod: CapturedPod): Entry {
    const known = this.#entries.get(pod.uid);
    if (known !== undefined) {
      known.pod = pod;
      return known;
    }
    const backoff = new Backoff({
      initialMs: CAPTURE_BACKOFF_INITIAL_MS,
      maxMs: CAPTURE_BACKOFF_MAX_MS,
    });
    const entry: Entry = { capture: new PodCapture(this.#options), backoff, pod };
    this.#entries.set(pod.uid, entry);
    return entry;
  }

  #failed(uid: string, message: string): void {
    const entry = this.#entries.get(uid);
    if (entry === undefined) return;
    this.#failures++;
    const { namespace, name } = entry.pod;
    const previous = this.#reports.get(uid);
    if (previous?.message !== message) {
      this.#options.log.warn("pod is not captured yet", { pod: `${namespace}/${name}`, message });
    }
    this.#setReport(entry.pod, "pending", message);
    this.#queue.addAfter(uid, entry.backoff.next());
  }

  #setReport(pod: CapturedPod, state: PodReport["state"], message: string): void {
    const { uid, name, namespace } = pod;
    const previous = this.#reports.get(uid);
    if (previous?.state === state && previous.message === message) return;
    this.#reports.set(uid, { uid, name, namespace, state, message });
    this.#changed.add(uid);
    this.#reportTimer ??= setTimeout(() => this.#flushReports(), CAPTURE_REPORT_DELAY_MS);
  }

  #flushReports(): void {
    this.#reportTimer = undefined;
    const changes = [...this.#changed].flatMap((uid) => this.#reports.get(uid) ?? []);
    this.#changed.clear();
    for (const { uid, state } of changes) if (state === "disabled") this.#reports.delete(uid);
    this.#options.report(changes);
  }

  async #workOnProbes(): Promise<void> {
    const { probes, log } = this.#options;
    try {
      if (this.#snapshotComplete && this.#wanted.size > 0 && !probes.exact) {
        const pods = [...this.#wanted.values()];
        await Promise.all(pods.map(({ uid, ips }) => probes.admit(uid, ips)));
        await probes.forgetOthers();
      }
      if (await probes.check()) this.#repairs++;
    } catch (error) {
      this.#failures++;
      log.warn("probes of the node are not let through", { error: describeError(error) });
    }
    this.#queue.addAfter(PROBES_KEY, this.#checkIntervalMs);
  }
}
