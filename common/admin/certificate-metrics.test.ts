import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import type { CertStatus } from "#common/identity/cert-manager.ts";
import { TestAuthority } from "#common/tls/authority-fixture.ts";
import { registerCertificateMetrics } from "./certificate-metrics.ts";

const HOUR_MS = 3_600_000;
const ca = TestAuthority.root();
const ending = (ms: number) => ca.workload({ notAfter: new Date(Date.now() + ms) });

async function read(registry: Registry, name: string): Promise<Record<string, number>> {
  const text = await registry.metrics();
  const lines = text.split("\n").filter((line) => line.startsWith(name));
  return Object.fromEntries(
    lines.map((line) => {
      const [, label = "", value] = /^\w+(?:\{\w+="(.*)"\})? (\S+)$/.exec(line) ?? [];
      return [label, Number(value)];
    }),
  );
}

test("each class shows what ends first, also when it has ended; states are counted", async () => {
  const registry = new Registry();
  const held = [ending(HOUR_MS), ending(-60_000), ending(2 * HOUR_MS)];
  const status = (state: "available" | "initializing"): CertStatus =>
    state === "available" ? { state, certificate: ending(HOUR_MS) } : { state };
  const { identity } = ending(HOUR_MS);
  registerCertificateMetrics(registry, {
    certificates: {
      *held() {
        yield* held;
      },
      *statuses() {
        yield { identity, status: status("available") };
        yield { identity, status: status("available") };
        yield { identity, status: status("initializing") };
      },
    },
    crl: () => ({ revoked: 3, nextUpdate: Date.now() + HOUR_MS, failing: true }),
  });
  const seconds = await read(registry, "ambient_certificate_expiry_seconds");
  assert.deepEqual(Object.keys(seconds).sort(), ["crl", "root", "workload"]);
  assert.ok((seconds.workload ?? 0) <= -59 && (seconds.workload ?? 0) > -65);
  assert.ok((seconds.root ?? 0) > 40 * 3_600);
  assert.deepEqual(await read(registry, "ambient_certificates"), {
    available: 2,
    initializing: 1,
    unavailable: 0,
  });
  assert.deepEqual(await read(registry, "ambient_revoked_certificates"), { "": 3 });
  assert.deepEqual(await read(registry, "ambient_crl_unusable"), { "": 1 });
});
