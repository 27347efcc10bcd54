import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { formatAccessLog } from "./access-log.ts";
import type { PolicyReport } from "./connection-record.ts";
import { POLICIES_TOLD, POLICY_SERIES } from "./limits.ts";
import { PolicyMetrics } from "./policy-metrics.ts";
import { connectionLabels, finished } from "./test-connections.ts";

const DRY: PolicyReport = {
  dryRun: { allowed: false, matched: [{ policy: "shop/dry", action: "deny" }] },
  audited: ["shop/seen"],
};

async function counted(registry: Registry): Promise<string[]> {
  const text = await registry.metrics();
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

test("a connection counts once for its verdict, and once for each policy that matched", async () => {
  const registry = new Registry();
  const metrics = new PolicyMetrics(registry);
  metrics.record({ event: "opened", labels: 1, report: DRY });
  metrics.record({ ...finished(), report: DRY });
  metrics.record({ event: "opened", labels: 1 });
  const failure = { reason: "explicit-deny", message: "no" } as const;
  const report = { dryRun: { allowed: true, matched: [] }, audited: [] };
  metrics.record({ ...finished({ event: "refused", failure }), report });
  assert.deepEqual(await counted(registry), [
    'ambient_policy_dry_run_verdicts_total{enforced="allow",result="deny"} 1',
    'ambient_policy_dry_run_verdicts_total{enforced="deny",result="allow"} 1',
    'ambient_policy_matches_total{policy="shop/dry",action="DENY",mode="dry_run"} 1',
    'ambient_policy_matches_total{policy="shop/seen",action="AUDIT",mode="audit"} 1',
  ]);
});

test("a connection that was over before it was told of counts its verdict as well", async () => {
  const registry = new Registry();
  const metrics = new PolicyMetrics(registry);
  metrics.record({ ...finished({ opened: true }), report: DRY });
  const [verdict] = await counted(registry);
  assert.match(verdict ?? "", /verdicts_total\{enforced="allow",result="deny"\} 1$/);
});

test("beyond the bound policies share a series", async () => {
  const registry = new Registry();
  const metrics = new PolicyMetrics(registry);
  for (let i = 0; i < POLICY_SERIES + 5; i++) {
    metrics.record({ event: "opened", labels: 1, report: { audited: [`shop/p${i}`] } });
  }
  const lines = await counted(registry);
  assert.equal(lines.length, POLICY_SERIES + 1);
  assert.ok(lines.some((line) => /policy="unknown".* 5$/.test(line)));
});

test("the access log says what dry runs would have done, and who audits", () => {
  const line = (report?: PolicyReport) =>
    formatAccessLog({ ...finished(), ...(report && { report }) }, connectionLabels(), "text");
  assert.match(
    line(DRY),
    / dry_run\.result="deny" dry_run\.policies="shop\/dry" audit\.policies="shop\/seen"\n$/,
  );
  assert.match(line({ dryRun: { allowed: true, matched: [] }, audited: [] }), /result="allow"\n$/);
  assert.doesNotMatch(line(), /dry_run|audit/);
  const audited = Array.from({ length: POLICIES_TOLD + 1 }, (_, i) => `a/p${i}`);
  assert.equal(line({ audited }).match(/a\/p/g)?.length, POLICIES_TOLD);
});
