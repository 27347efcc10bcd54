/**
 * Policies that decide nothing: dry runs and AUDIT, on real connections. What they would have done
 * is in the access log, in the metrics and in the policies' statuses; nobody is let in or kept out
 * by them.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { waitForRecord } from "#test/support/access-log.ts";
import { type Call, PORTS, PolicyMesh } from "#test/support/policy-mesh.ts";
import { allow, authorizationPolicy, deny, rule } from "#test/support/policy-objects.ts";

const SERVER_NODE = "node2";
const DRY_RUN = { annotations: { "istio.io/dry-run": "true" } };
const FROM_FRONTEND = rule({ source: { principals: ["cluster.local/ns/web/sa/frontend"] } });
const FROM_BATCH = rule({ source: { serviceAccounts: ["web/batch"] } });

const FRONTEND: Call = { client: "frontend", server: "db", port: PORTS.admin, family: "ipv4" };
const BATCH: Call = { ...FRONTEND, client: "batch" };
const OUTSIDER: Call = { ...FRONTEND, client: "outsider" };

describe("policies that decide nothing", () => {
  let mesh: PolicyMesh;
  before(async () => {
    mesh = await PolicyMesh.start();
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  const count = (name: string, labels: Record<string, string>): Promise<number> =>
    mesh.cluster.ztunnel(SERVER_NODE).metric(name, labels);

  const recordOf = (call: Call, fields: Readonly<Record<string, string | RegExp>>) =>
    waitForRecord(mesh.cluster, SERVER_NODE, {
      direction: "inbound",
      "src.addr": new RegExp(`^${mesh.ip(call.client, call.family)}:`),
      ...fields,
    });

  test("a dry-run DENY lets in whom it would refuse, and says so", async () => {
    await mesh.enforce(deny([FROM_FRONTEND], { name: "dry", ...DRY_RUN }));
    await mesh.assertAllowed(() => true);
    await recordOf(FRONTEND, { "dry_run.result": "deny", "dry_run.policies": "shop/dry" });
    const other = await recordOf(BATCH, { "dry_run.result": "allow" });
    assert.equal(other["dry_run.policies"], undefined);
    const labels = { policy: "shop/dry", action: "DENY", mode: "dry_run" };
    assert.ok((await count("ambient_policy_matches_total", labels)) > 0);
    const verdict = { enforced: "allow", result: "deny" };
    assert.ok((await count("ambient_policy_dry_run_verdicts_total", verdict)) > 0);
  });

  test("a dry-run ALLOW refuses nobody, and tells who would be refused", async () => {
    await mesh.enforce(allow([FROM_BATCH], { name: "dry-allow", ...DRY_RUN }));
    await mesh.assertAllowed(() => true);
    await recordOf(BATCH, { "dry_run.result": "allow", "dry_run.policies": "shop/dry-allow" });
    const refused = await recordOf(OUTSIDER, { "dry_run.result": "deny" });
    assert.equal(refused["dry_run.policies"], undefined);
  });

  test("beside a DENY that is enforced a dry-run ALLOW does not let anybody in", async () => {
    await mesh.enforce(
      deny([FROM_FRONTEND], { name: "real" }),
      allow([{}], { name: "dry-all", ...DRY_RUN }),
    );
    assert.equal(await mesh.call(FRONTEND), false);
    assert.equal(await mesh.call(BATCH), true);
    await recordOf(FRONTEND, { policy: "shop/real", "dry_run.result": "deny" });
    const verdict = { enforced: "deny", result: "deny" };
    assert.ok((await count("ambient_policy_dry_run_verdicts_total", verdict)) > 0);
  });

  test("AUDIT tells whom it matches, with a selector and without, and decides nothing", async () => {
    const audit = (name: string, matchLabels?: Readonly<Record<string, string>>) =>
      authorizationPolicy(
        { action: "AUDIT", rules: [FROM_FRONTEND] },
        { name, ...(matchLabels && { matchLabels }) },
      );
    await mesh.enforce(audit("seen"), audit("seen-db", { app: "db" }), deny([FROM_BATCH]));
    assert.equal(await mesh.call(FRONTEND), true);
    assert.equal(await mesh.call(BATCH), false);
    await recordOf(FRONTEND, { "audit.policies": "shop/seen,shop/seen-db" });
    const refused = await recordOf(BATCH, { policy: "shop/policy" });
    assert.equal(refused["audit.policies"], undefined);
    const labels = { policy: "shop/seen-db", action: "AUDIT", mode: "audit" };
    assert.equal(await count("ambient_policy_matches_total", labels), 1);
    await mesh.cluster.until("it is told that it is accepted", async () => {
      const policy = await mesh.cluster.find("AuthorizationPolicy", "shop/seen");
      const [condition] = policy?.status?.conditions ?? [];
      return condition?.status === "True" && condition.reason === "Accepted";
    });
  });
});
