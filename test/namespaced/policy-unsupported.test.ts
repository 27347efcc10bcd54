/**
 * What an AuthorizationPolicy asks for and ztunnel cannot do: what becomes of it on real
 * connections, and what its status says, rule by rule.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { AuthorizationPolicy, Condition, PolicyRule } from "#common/kubernetes/objects.ts";
import { type Call, PolicyMesh } from "#test/support/policy-mesh.ts";
import { allow, authorizationPolicy, deny, rule } from "#test/support/policy-objects.ts";
import { run } from "#test/support/run.ts";

const FRONTEND = { principals: ["cluster.local/ns/web/sa/frontend"] };
const GET = { methods: ["GET"] };

const isFrontend = ({ client }: Call): boolean => client === "frontend";
const isBatch = ({ client }: Call): boolean => client === "batch";
const inShop = ({ server }: Call): boolean => server !== "staging";
const always = (): boolean => true;

interface Row {
  readonly title: string;
  readonly policy: object;
  readonly allowed: (call: Call) => boolean;
  readonly condition: Pick<Condition, "status" | "reason">;
  /** What the condition's message has to say. */
  readonly says: readonly RegExp[];
}

const ACCEPTED = { status: "True", reason: "Accepted" } as const;
const UNSUPPORTED = { status: "True", reason: "UnsupportedValue" } as const;
const NOT_ENFORCED = { status: "False", reason: "UnsupportedValue" } as const;

const ACTIONS: readonly Row[] = [
  {
    title: "a policy that is enforced as written is accepted",
    policy: allow([rule({ source: FRONTEND })]),
    allowed: (call) => !inShop(call) || isFrontend(call),
    condition: ACCEPTED,
    says: [/^attached to ztunnel$/],
  },
  {
    title: "a policy that denies everything is accepted",
    policy: authorizationPolicy({}),
    allowed: (call) => !inShop(call),
    condition: ACCEPTED,
    says: [/^attached to ztunnel$/],
  },
  {
    title: "a dry run is accepted as one",
    policy: deny([{}], { annotations: { "istio.io/dry-run": "true" } }),
    allowed: always,
    condition: ACCEPTED,
    says: [/dry run/],
  },
  {
    title: "AUDIT decides nothing, and is told where to find what it matches",
    policy: authorizationPolicy({ action: "AUDIT", rules: [rule({ source: FRONTEND })] }),
    allowed: always,
    condition: ACCEPTED,
    says: [/^attached to ztunnel, which tells what it matches in access log and metrics$/],
  },
  {
    title: "CUSTOM is not enforced",
    policy: authorizationPolicy({ action: "CUSTOM", provider: { name: "opa" }, rules: [{}] }),
    allowed: always,
    condition: NOT_ENFORCED,
    says: [/^ztunnel does not support the CUSTOM action$/],
  },
];

/** Every way to ask for HTTP, with the path by which the status names it. */
const HTTP: Readonly<Record<string, { readonly part: PolicyRule; readonly path: string }>> = {
  ...Object.fromEntries(
    ["hosts", "notHosts", "methods", "notMethods", "paths", "notPaths"].map((field) => [
      field,
      {
        part: rule({ operation: { [field]: ["x"] } }),
        path: `rules[0].to[0].operation.${field}`,
      },
    ]),
  ),
  ...Object.fromEntries(
    ["requestPrincipals", "notRequestPrincipals", "remoteIpBlocks", "notRemoteIpBlocks"].map(
      (field) => {
        const value = field.endsWith("IpBlocks") ? "10.0.0.0/8" : "issuer/subject";
        const part = rule({ source: { [field]: [value] } });
        return [field, { part, path: `rules[0].from[0].source.${field}` }];
      },
    ),
  ),
  ...Object.fromEntries(
    ["request.headers[x-y]", "request.auth.claims[iss]", "remote.ip", "connection.sni"].map(
      (key) => {
        const value = key === "remote.ip" ? "10.0.0.0/8" : "x";
        const part = rule({ when: { key, values: [value] } });
        return [`when ${key}`, { part, path: "rules[0].when[0].key" }];
      },
    ),
  ),
};

const ALONE: readonly Row[] = Object.entries(HTTP).flatMap(([field, { part, path }]) => [
  {
    title: `an ALLOW by ${field} allows nothing`,
    policy: allow([part]),
    allowed: (call: Call) => !inShop(call),
    condition: NOT_ENFORCED,
    says: [literally(path), /the policy allows nothing/, /the rule is left out/],
  },
  {
    title: `a DENY by ${field} alone denies nothing, and says so`,
    policy: deny([part]),
    allowed: always,
    condition: NOT_ENFORCED,
    says: [literally(path), /the policy denies nothing/, /use a waypoint/],
  },
]);

const MIXED: readonly Row[] = [
  {
    title: "an ALLOW rule with HTTP in it is left out, the others stay",
    policy: allow([
      rule({ source: FRONTEND, operation: GET }),
      rule({ source: { serviceAccounts: ["web/batch"] } }),
    ]),
    allowed: (call) => !inShop(call) || isBatch(call),
    condition: UNSUPPORTED,
    says: [/1 of 2 rules/, literally("rules[0].to[0].operation.methods")],
  },
  {
    title: "a DENY rule with HTTP in it is enforced without that, so that it denies more",
    policy: deny([rule({ source: FRONTEND, operation: { ...GET, ports: ["8080"] } })]),
    allowed: (call) => !inShop(call) || !(isFrontend(call) && call.port === 8080),
    condition: UNSUPPORTED,
    says: [literally("rules[0].to[0].operation.methods"), /this part is dropped/],
  },
  {
    title: "a DENY by source and HTTP condition is enforced by source",
    policy: deny([rule({ source: FRONTEND, when: { key: "request.headers[x]", values: ["y"] } })]),
    allowed: (call) => !inShop(call) || !isFrontend(call),
    condition: UNSUPPORTED,
    says: [literally("rules[0].when[0].key"), /this part is dropped/],
  },
  {
    title: "a DENY with one rule of HTTP alone denies by the other, and says which has no effect",
    policy: deny([rule({ source: FRONTEND }), rule({ operation: GET })]),
    allowed: (call) => !inShop(call) || !isFrontend(call),
    condition: UNSUPPORTED,
    says: [/1 of 2 rules/, literally("rules[1].to[0].operation.methods"), /use a waypoint/],
  },
];

describe("what ztunnel cannot enforce", () => {
  let mesh: PolicyMesh;
  before(async () => {
    mesh = await PolicyMesh.start();
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  for (const { title, policy, allowed, condition, says } of [...ACTIONS, ...ALONE, ...MIXED]) {
    test(title, async () => {
      await mesh.enforce(policy);
      await mesh.assertAllowed(allowed);
      const { type, status, reason, message = "" } = await conditionOf(mesh);
      assert.deepEqual({ type, status, reason }, { type: "ZtunnelAccepted", ...condition });
      for (const pattern of says) assert.match(message, pattern);
    });
  }

  test("a policy for a waypoint is told that nothing enforces it", async () => {
    const target = { kind: "Service", group: "", name: "db" };
    await mesh.enforce(authorizationPolicy({ targetRefs: [target], action: "DENY", rules: [{}] }));
    await mesh.assertAllowed(always);
    const { type, status, reason, message = "" } = await conditionOf(mesh);
    assert.deepEqual([type, status, reason], ["WaypointAccepted", "False", "AncestorNotBound"]);
    assert.match(
      message,
      /^Service shop\/db: not bound to a waypoint, so nothing enforces this policy$/,
    );
    const policy = await mesh.cluster.find("AuthorizationPolicy", "shop/policy");
    assert.equal(policy?.status?.conditions?.length, 1);
  });

  test("meshctl get shows the status in JSON", async () => {
    await mesh.enforce(allow([rule({ source: FRONTEND }), rule({ operation: GET })]));
    const expected = await conditionOf(mesh);
    const { code, stdout, stderr } = await meshctl(mesh, "policy", "-n", "shop", "-o", "json");
    assert.equal(code, 0, stderr);
    const policy = JSON.parse(stdout) as AuthorizationPolicy;
    assert.deepEqual(policy.status?.conditions, [expected]);
    assert.match(expected.message ?? "", literally("rules[1].to[0].operation.methods"));
    assert.equal(expected.observedGeneration, policy.metadata.generation);
    assert.ok(!Number.isNaN(Date.parse(expected.lastTransitionTime ?? "")));
  });

  test("whatever was refused was refused by policy", () => mesh.assertRefusalsCounted());
});

/** The condition of the policy `shop/policy`, once it is about what the policy says now. */
async function conditionOf(mesh: PolicyMesh): Promise<Condition> {
  let found: Condition | undefined;
  await mesh.cluster.until("the policy has its condition", async () => {
    const { metadata, status } =
      (await mesh.cluster.find("AuthorizationPolicy", "shop/policy")) ?? {};
    found = status?.conditions?.find((each) => each.observedGeneration === metadata?.generation);
    return found !== undefined;
  });
  return found as Condition;
}

async function meshctl(mesh: PolicyMesh, ...args: readonly string[]) {
  const main = join(import.meta.dirname, "../../meshctl/main.ts");
  const { name } = await mesh.cluster.client.info();
  const get = [main, "get", "authorizationpolicy", ...args, "--name", name];
  return run([process.execPath, ...get]);
}

function literally(text: string): RegExp {
  return new RegExp(text.replaceAll(/[[\].]/g, "\\$&"));
}
