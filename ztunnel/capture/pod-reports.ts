/** What became of each pod, and who has still to hear of it. */
import type { CapturedPod, CaptureState, PodReport } from "#common/model/captured-pod.ts";
import { CAPTURE_REPORT_DELAY_MS } from "./limits.ts";

/** What a report says of a pod. */
export type PodStanding = Pick<PodReport, "state" | "message" | "repairs">;

export class PodReports {
  readonly #send: (changes: readonly PodReport[]) => void;
  readonly #reports = new Map<string, PodReport>();
  readonly #changed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  /** `send` receives the pods whose standing changed, soon after it did, several at once. */
  constructor(send: (changes: readonly PodReport[]) => void) {
    this.#send = send;
  }

  /** A pod that is disabled is forgotten as soon as that has been sent. */
  set(pod: CapturedPod, { state, message, repairs }: PodStanding): void {
    const { uid, name, namespace } = pod;
    const before = this.#reports.get(uid);
    const isNews =
      before?.state !== state ||
      before.message !== message ||
      before.repairs?.count !== repairs?.count;
    if (!isNews) return;
    const report = { uid, name, namespace, state, message };
    this.#reports.set(uid, repairs === undefined ? report : { ...report, repairs });
    this.#changed.add(uid);
    this.#timer ??= setTimeout(() => this.#flush(), CAPTURE_REPORT_DELAY_MS);
  }

  get(uid: string): PodReport | undefined {
    return this.#reports.get(uid);
  }

  stateOf(uid: string): CaptureState {
    return this.#reports.get(uid)?.state ?? "pending";
  }

  all(): readonly PodReport[] {
    return [...this.#reports.values()];
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #flush(): void {
    this.#timer = undefined;
    const changes = [...this.#changed].flatMap((uid) => this.#reports.get(uid) ?? []);
    this.#changed.clear();
    for (const { uid, state } of changes) if (state === "disabled") this.#reports.delete(uid);
    this.#send(changes);
  }
}
