/**
 * When a pod counts as enrolled that another ztunnel serves: its rules are in place, and that
 * ztunnel has acknowledged it once. A pod that is enrolled stays so while ztunnel is away: peers
 * would be told to send it plaintext.
 */
import type { PodReport } from "#common/model/captured-pod.ts";

export class AckGate {
  readonly #send: (reports: readonly PodReport[]) => void;
  readonly #acknowledged = new Set<string>();
  /** Captured, and not acknowledged. */
  readonly #waiting = new Map<string, PodReport>();

  constructor(send: (reports: readonly PodReport[]) => void) {
    this.#send = send;
  }

  /** What capture reports, held back as pending where the acknowledgement is missing. */
  report(reports: readonly PodReport[]): void {
    this.#send(reports.map((report) => this.#gate(report)));
  }

  /** `error` as ztunnel gave it, "" for an acknowledgement. */
  answered(uid: string, error: string): void {
    if (error === "") this.#acknowledged.add(uid);
    const report = this.#waiting.get(uid);
    if (report === undefined) return;
    if (error === "") this.#waiting.delete(uid);
    this.#send([error === "" ? report : pending(report, error)]);
  }

  /** The pod has left, or its namespace is another one: what was acknowledged is no more. */
  removed(uid: string): void {
    this.#acknowledged.delete(uid);
    this.#waiting.delete(uid);
  }

  #gate(report: PodReport): PodReport {
    this.#waiting.delete(report.uid);
    if (report.state !== "enabled" || this.#acknowledged.has(report.uid)) return report;
    this.#waiting.set(report.uid, report);
    return pending(report, "ztunnel has not acknowledged it yet");
  }
}

function pending(report: PodReport, why: string): PodReport {
  return { ...report, state: "pending", message: `captured; ${why}` };
}
