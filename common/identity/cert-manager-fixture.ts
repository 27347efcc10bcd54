/** For tests: a CertManager on a clock that is turned by hand. */
import { type Identity, makeIdentity } from "#common/model/identity.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { CertManager, type Clock } from "./cert-manager.ts";

export const DAY_MS = 86_400_000;

export class FakeClock implements Clock {
  #now = 0;
  /** How far the clock on the wall is from the time that passes. */
  skewMs = 0;
  #timers: { at: number; callback: () => void }[] = [];
  now(): number {
    return this.#now + this.skewMs;
  }
  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await settled();
    }
    this.#now = until;
  }
}

export const settled = () => new Promise((resolve) => setImmediate(resolve));

export function setUp(
  respond: (identity: Identity) => Promise<void> = () => Promise.resolve(),
  random: () => number = () => 0.5,
) {
  const clock = new FakeClock();
  const fetches: string[] = [];
  const delivered: WorkloadCertificate[] = [];
  const manager = new CertManager({
    fetch: async (identity) => {
      fetches.push(identity.serviceAccount);
      await respond(identity);
      const now = clock.now();
      return {
        identity,
        certChainPem: "",
        privateKeyPem: "",
        rootsPem: "",
        notBefore: now,
        notAfter: now + DAY_MS,
        serial: "1",
      };
    },
    onCertificate: (certificate) => delivered.push(certificate),
    logger: createLogger({ level: "error", format: "text", write: () => undefined }),
    clock,
    random,
  });
  return { manager, clock, fetches, delivered };
}

export const WEB = makeIdentity("cluster.local", "shop", "web");
