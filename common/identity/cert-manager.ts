/**
 * The certificates of this node: one key and certificate per identity that runs here, renewed at
 * half their life. While the CA is away a valid certificate keeps serving; attempts back off with
 * jitter.
 */
import type { Identity } from "#common/model/identity.ts";
import { Backoff } from "#common/runtime/backoff.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import {
  CERTIFICATE_BACKOFF_INITIAL_MS,
  CERTIFICATE_BACKOFF_MAX_MS,
  CERTIFICATE_CLOCK_CHECK_MS,
  CERTIFICATE_FETCHES,
  ROOT_CHANGE_DELAY_MS,
  ROOT_CHANGE_SPREAD_MS,
} from "./limits.ts";

/** Time comes in, so that tests can turn the clock. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back after a delay of at most some minutes; the returned function cancels. */
  after(delayMs: number, callback: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
  now: Date.now,
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export interface CertManagerDeps {
  /** Asks the CA for a new key and certificate. */
  readonly fetch: (identity: Identity) => Promise<WorkloadCertificate>;
  readonly onCertificate: (certificate: WorkloadCertificate) => void;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export type CertStatus =
  | { readonly state: "initializing" }
  | { readonly state: "available"; readonly certificate: WorkloadCertificate }
  | { readonly state: "unavailable"; readonly error: string };

interface Entry {
  readonly identity: Identity;
  readonly backoff: Backoff;
  /** Pods of this identity on this node. */
  users: number;
  certificate: WorkloadCertificate | undefined;
  error: string | undefined;
  /** Waiting for its turn, or being fetched. */
  busy: boolean;
  /** What is being fetched may be of before a change of roots: it is fetched once more. */
  stale: boolean;
  cancelTimer: () => void;
}

export class CertManager {
  readonly #deps: CertManagerDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #queue: Entry[] = [];
  #fetching = 0;
  #closed = false;

  constructor(deps: CertManagerDeps) {
    this.#deps = deps;
  }

  /**
   * A pod of this identity runs here: its certificate is fetched and kept fresh until `release`.
   */
  retain(identity: Identity): void {
    const entry = this.#entries.get(identity.uri) ?? this.#add(identity);
    entry.users++;
  }

  /** A pod of this identity is gone; with the last one the certificate is forgotten. */
  release(identity: Identity): void {
    const entry = this.#entries.get(identity.uri);
    if (entry === undefined) return;
    entry.users--;
    if (entry.users > 0) return;
    entry.cancelTimer();
    this.#entries.delete(identity.uri);
  }

  /**
   * The current certificate, for a data worker that asks; it is being fetched where there is none.
   */
  current(identity: Identity): WorkloadCertificate | undefined {
    return this.#entries.get(identity.uri)?.certificate;
  }

  /**
   * Renews every certificate soon: others are to be trusted now, which a certificate's answer says.
   * What there is serves until then.
   */
  renewAll(): void {
    for (const entry of this.#entries.values()) {
      if (entry.busy) entry.stale = true;
      else this.#schedule(entry, this.#rootChangeDelayMs());
    }
  }

  /** Renews this one now: it was revoked, say. */
  renew(identityUri: string): void {
    const entry = this.#entries.get(identityUri);
    if (entry !== undefined) this.#enqueue(entry);
  }

  /** Every identity with its state, for /config_dump and metrics. */
  *statuses(): Generator<{ identity: Identity; status: CertStatus }> {
    for (const entry of this.#entries.values()) {
      yield { identity: entry.identity, status: this.#statusOf(entry) };
    }
  }

  /** Every certificate there is, the expired ones too: for metrics. */
  *held(): Generator<WorkloadCertificate> {
    for (const { certificate } of this.#entries.values()) {
      if (certificate !== undefined) yield certificate;
    }
  }

  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    for (const entry of this.#entries.values()) entry.cancelTimer();
  }

  #add(identity: Identity): Entry {
    const limits = { initialMs: CERTIFICATE_BACKOFF_INITIAL_MS, maxMs: CERTIFICATE_BACKOFF_MAX_MS };
    const entry: Entry = {
      identity,
      backoff: new Backoff(limits, this.#deps.random),
      users: 0,
      certificate: undefined,
      error: undefined,
      busy: false,
      stale: false,
      cancelTimer: () => undefined,
    };
    this.#entries.set(identity.uri, entry);
    this.#enqueue(entry);
    return entry;
  }

  #enqueue(entry: Entry): void {
    if (entry.busy || this.#closed) return;
    entry.busy = true;
    this.#queue.push(entry);
    this.#pump();
  }

  #pump(): void {
    while (this.#fetching < CERTIFICATE_FETCHES) {
      const entry = this.#queue.shift();
      if (entry === undefined) return;
      if (this.#entries.get(entry.identity.uri) !== entry) continue;
      this.#fetching++;
      void this.#fetch(entry).finally(() => {
        this.#fetching--;
        this.#pump();
      });
    }
  }

  async #fetch(entry: Entry): Promise<void> {
    try {
      const certificate = await this.#deps.fetch(entry.identity);
      entry.busy = false;
      if (this.#entries.get(entry.identity.uri) === entry) this.#fetched(entry, certificate);
    } catch (error) {
      entry.busy = false;
      this.#failed(entry, describeError(error));
    }
  }

  #fetched(entry: Entry, certificate: WorkloadCertificate): void {
    entry.certificate = certificate;
    entry.error = undefined;
    entry.backoff.reset();
    this.#deps.onCertificate(certificate);
    if (entry.stale) this.#schedule(entry, this.#rootChangeDelayMs());
    else this.#awaitRenewal(entry, certificate);
    entry.stale = false;
    this.#wakeOthers(entry);
  }

  /** The CA answers: pods that have nothing must not sit out the rest of a long back-off. */
  #wakeOthers(fetched: Entry): void {
    for (const entry of this.#entries.values()) {
      if (entry !== fetched && !this.#isValid(entry.certificate)) this.#enqueue(entry);
    }
  }

  #failed(entry: Entry, error: string): void {
    entry.error = error;
    const delayMs = entry.backoff.next();
    this.#deps.logger.warn("certificate could not be fetched", {
      identity: entry.identity.uri,
      error,
      retryInMs: Math.round(delayMs),
      valid: this.#isValid(entry.certificate),
    });
    this.#schedule(entry, delayMs);
  }

  #schedule(entry: Entry, delayMs: number): void {
    entry.cancelTimer();
    if (this.#closed || this.#entries.get(entry.identity.uri) !== entry) return;
    entry.cancelTimer = this.#deps.clock.after(delayMs, () => this.#enqueue(entry));
  }

  /**
   * Half the life, give or take a tenth: a node's certificates are not all renewed in one second.
   * Due by the clock on the wall, and by the time that has passed: whichever comes first, for a
   * clock may be set either way.
   */
  #awaitRenewal(entry: Entry, { notBefore, notAfter }: WorkloadCertificate): void {
    const lifeMs = notAfter - notBefore;
    const jitter = (this.#deps.random() - 0.5) * 0.2;
    const share = 0.5 + jitter / 2;
    const renewAt = notBefore + lifeMs * share;
    const untilDue = renewAt - this.#deps.clock.now();
    const firstMs = Math.min(Math.max(untilDue, CERTIFICATE_BACKOFF_INITIAL_MS), lifeMs * share);
    this.#waitUntil(entry, renewAt, firstMs);
  }

  #rootChangeDelayMs(): number {
    return ROOT_CHANGE_DELAY_MS + this.#deps.random() * ROOT_CHANGE_SPREAD_MS;
  }

  #waitUntil(entry: Entry, renewAt: number, leftMs: number): void {
    const slice = Math.min(leftMs, CERTIFICATE_CLOCK_CHECK_MS);
    entry.cancelTimer();
    if (this.#closed || this.#entries.get(entry.identity.uri) !== entry) return;
    entry.cancelTimer = this.#deps.clock.after(slice, () => {
      const left = leftMs - slice;
      if (left <= 0 || this.#deps.clock.now() >= renewAt) this.#enqueue(entry);
      else this.#waitUntil(entry, renewAt, left);
    });
  }

  #statusOf(entry: Entry): CertStatus {
    const { certificate, error } = entry;
    if (certificate !== undefined && this.#isValid(certificate)) {
      return { state: "available", certificate };
    }
    if (error === undefined && certificate === undefined) return { state: "initializing" };
    return { state: "unavailable", error: error ?? "the certificate has expired" };
  }

  #isValid(certificate: WorkloadCertificate | undefined): boolean {
    return certificate !== undefined && certificate.notAfter > this.#deps.clock.now();
  }
}
