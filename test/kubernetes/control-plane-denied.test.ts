/**
 * istiod-lite and an API server that says no: to a verb that its role lacks, to a token that has
 * been revoked. It is told once, nothing is asked in a loop, what is known stays, and all of it
 * mends itself.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { parse } from "yaml";
import { AUTHORIZATION_TYPE } from "#common/xds/type-urls.ts";
import { names } from "#istiod-lite/xds/ads-test-server.ts";
import { ROOT } from "../house/tree.ts";
import { useKubernetes } from "./harness/use-kubernetes.ts";
import { waitFor } from "./harness/wait-for.ts";
import { authorizationPolicy } from "./mesh/admission-cases.ts";
import { prepareControlPlane, Replica, writeToken } from "./mesh/replica.ts";

const ROLE = join(ROOT, "manifests/base/istiod/cluster-role.yaml");
const POLICIES = 30;
/** Each of two dozen kinds asks a few times before it believes it, then twice a minute. */
const MOST_ATTEMPTS = 600;
/** Longer than those pauses, on a machine that may be slow. */
const MENDED = { timeoutMs: 200_000 };

let replica: Replica;
let tokenFile = "";
const cluster = useKubernetes({}, async (started) => {
  await prepareControlPlane(started);
  await started.apply(secret("first"));
  tokenFile = await writeToken(started, join(started.logFolder, "token"), "first");
  replica = await Replica.start(started, tokenFile);
});
after(() => replica?.close());

function secret(name: string): object {
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "istio-system" } };
}

function said(pattern: RegExp): readonly string[] {
  return replica.log.filter((line) => pattern.test(line));
}

/** A policy that only a waypoint can enforce: its status says so. */
function policy(name: string): object {
  return authorizationPolicy(name, { rules: [{ to: [{ operation: { methods: ["GET"] } }] }] });
}

async function knows(name: string): Promise<void> {
  await replica.resources(AUTHORIZATION_TYPE, (all) => all.has(`shop/${name}`));
}

/** The sum of a metric of the API server over the series that match. */
async function sumOf(series: RegExp): Promise<number> {
  const page = await cluster().check(["get", "--raw=/metrics"]);
  const values = page.split("\n").filter((line) => series.test(line));
  return values.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

async function hasStatus(name: string): Promise<boolean> {
  const path = ["-n", "shop", "-o", "jsonpath={.status.conditions}"];
  return (await cluster().check(["get", "authorizationpolicy", name, ...path])) !== "";
}

/** The role of manifests/base without some of its resources. */
async function grantAllBut(resources: readonly string[]): Promise<void> {
  const role = parse(readFileSync(ROLE, "utf8").split("\n---\n")[0] ?? "");
  const rules = role.rules.map((rule: { resources: string[] }) => ({
    ...rule,
    resources: rule.resources.filter((each) => !resources.includes(each)),
  }));
  const kept = rules.filter((rule: { resources: string[] }) => rule.resources.length > 0);
  await cluster().apply({ ...role, rules: kept });
}

test("what its role lacks is told once and not asked for in a loop, and used when it is given", async () => {
  await grantAllBut(["telemetries", "authorizationpolicies/status"]);
  // What is being watched goes on; what is asked anew is denied.
  await cluster().faults.restartApiServer();
  await waitFor(
    "the refusal",
    () => said(/kind=Telemetry.*not allowed|not allowed.*kind=Telemetry/).length > 0,
  );
  const made = Array.from({ length: POLICIES }, (_, index) => `p-${index}`);
  await cluster().apply(...made.map(policy));
  for (const name of made) await knows(name);
  await waitFor("the refusal of a status", () => {
    return said(/(not allowed|does not allow).*authorizationpolicies.*\/status/).length > 0;
  });
  const refused = said(/not allowed|does not allow/);
  assert.equal(refused.length, 2, refused.join("\n"));
  await grantAllBut([]);
  await waitFor("the kind", () => said(/can be read again.*Telemetry/).length > 0, MENDED);
  await waitFor("a status", () => hasStatus("p-0"), MENDED);
});

test("a token that was revoked is told of, policies stay, and the next one is used", async () => {
  const stream = await replica.connect();
  stream.send({ typeUrl: AUTHORIZATION_TYPE });
  const known = await stream.next(20_000);
  stream.send({ typeUrl: AUTHORIZATION_TYPE, responseNonce: known.nonce });
  const before = replica.log.length;
  await cluster().check(["delete", "secret", "first", "-n", "istio-system"]);
  // It remembers tokens for a while, and lets watches go on that have begun.
  await cluster().faults.restartApiServer();
  await cluster().apply(policy("meanwhile"));
  const refusals = () =>
    replica.log
      .slice(before)
      .filter((line) => /does not know this istiod-lite|Unauthorized/.test(line));
  await waitFor("the refusal", () => refusals().some((line) => /does not know/.test(line)));
  await cluster().apply(secret("second"));
  await writeToken(cluster(), tokenFile, "second");
  const next = await stream.next(MENDED.timeoutMs);
  assert.deepEqual([names(next), next.removedResources], [["shop/meanwhile"], []]);
  const told = (pattern: RegExp) => refusals().filter((line) => pattern.test(line)).length;
  assert.equal(told(/does not know/), 1, refusals().join("\n"));
  assert.ok(told(/Lease/) <= 1, refusals().join("\n"));
  const attempts = await sumOf(/^authentication_attempts\{result="(failure|error)"\}/);
  assert.ok(attempts > 0 && attempts < MOST_ATTEMPTS, `${attempts} attempts`);
  stream.cancel();
});
