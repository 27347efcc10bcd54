/**
 * When a pod counts as enrolled: captured, and with a certificate in hand. Capture comes first and
 * does not wait (a pod that cannot get a certificate is closed, not open); but nobody is told to
 * send it HBONE before it can answer.
 */
import type { CapturedPod, PodReport } from "#common/model/captured-pod.ts";
import { type Identity, makeIdentity } from "#common/model/identity.ts";

export interface EnrolmentDeps {
  readonly trustDomain: string;
  readonly certificates: {
    retain(identity: Identity): void;
    release(identity: Identity): void;
    current(identity: Identity): unknown;
  };
  readonly send: (reports: readonly PodReport[]) => void;
}

export class Enrolment {
  readonly #deps: EnrolmentDeps;
  readonly #identities = new Map<string, Identity>();
  /** Captured, and waiting for the certificate of an identity. */
  readonly #waiting = new Map<string, PodReport>();

  constructor(deps: EnrolmentDeps) {
    this.#deps = deps;
  }

  /** The pod is being captured: its certificate is fetched from now on. */
  add(pod: CapturedPod): void {
    if (this.#identities.has(pod.uid)) return;
    const identity = makeIdentity(this.#deps.trustDomain, pod.namespace, pod.serviceAccount);
    this.#identities.set(pod.uid, identity);
    this.#deps.certificates.retain(identity);
  }

  remove(podUid: string): void {
    const identity = this.#identities.get(podUid);
    this.#waiting.delete(podUid);
    if (identity === undefined) return;
    this.#identities.delete(podUid);
    this.#deps.certificates.release(identity);
  }

  /** What capture reports, held back as pending where the certificate is still missing. */
  report(reports: readonly PodReport[]): void {
    this.#deps.send(reports.map((report) => this.#gate(report)));
  }

  certificateArrived(identity: Identity): void {
    const ready = [...this.#waiting.values()].filter(
      ({ uid }) => this.#identities.get(uid)?.uri === identity.uri,
    );
    for (const { uid } of ready) this.#waiting.delete(uid);
    if (ready.length > 0) this.#deps.send(ready);
  }

  #gate(report: PodReport): PodReport {
    this.#waiting.delete(report.uid);
    const identity = this.#identities.get(report.uid);
    if (report.state !== "enabled" || identity === undefined) return report;
    if (this.#deps.certificates.current(identity) !== undefined) return report;
    this.#waiting.set(report.uid, report);
    return {
      ...report,
      state: "pending",
      message: `captured; waiting for the certificate of ${identity.uri}`,
    };
  }
}
