/**
 * Policies that change while connections stand: what is no longer allowed is cut at once, and says
 * why; all else goes on.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { pod } from "#test/support/objects.ts";
import { type Call, describeCall, PolicyMesh } from "#test/support/policy-mesh.ts";
import { allow, deny, peerAuthentication, rule } from "#test/support/policy-objects.ts";
import {
  ECHO_PORT,
  SECOND_ECHO_PORT,
  StandingConnection,
  serveEcho,
} from "#test/support/standing-connections.ts";

const CUT_WITHIN_MS = 1_000;

const FROM_FRONTEND = rule({ source: { principals: ["cluster.local/ns/web/sa/frontend"] } });
const FROM_BATCH = rule({ source: { principals: ["cluster.local/ns/web/sa/batch"] } });
const TO_ECHO = rule({ operation: { ports: [String(ECHO_PORT)] } });

interface Row {
  readonly title: string;
  readonly before: readonly object[];
  readonly after: readonly object[];
  /** Which of the connections that stand have to be cut. */
  readonly cut: (call: Call) => boolean;
}

const isFrontend = ({ client }: Call): boolean => client === "frontend";
const isBatch = ({ client }: Call): boolean => client === "batch";
const isPlaintext = ({ client }: Call): boolean => client === "outsider";
const inShop = ({ server }: Call): boolean => server !== "staging";
const never = (): boolean => false;

const ROWS: readonly Row[] = [
  {
    title: "a new DENY cuts what it denies",
    before: [],
    after: [deny([FROM_FRONTEND])],
    cut: (call) => inShop(call) && isFrontend(call),
  },
  {
    title: "a new DENY of a port cuts the connections to that port",
    before: [],
    after: [deny([TO_ECHO])],
    cut: (call) => inShop(call) && call.port === ECHO_PORT,
  },
  {
    title: "the first ALLOW cuts all that it does not allow",
    before: [],
    after: [allow([FROM_FRONTEND])],
    cut: (call) => inShop(call) && !isFrontend(call),
  },
  {
    title: "a narrower ALLOW cuts what only the wider one allowed",
    before: [allow([FROM_FRONTEND, FROM_BATCH])],
    after: [allow([FROM_BATCH])],
    cut: (call) => inShop(call) && isFrontend(call),
  },
  {
    title: "a deleted ALLOW beside another cuts what only it allowed",
    before: [allow([FROM_FRONTEND], { name: "a" }), allow([FROM_BATCH], { name: "b" })],
    after: [allow([FROM_BATCH], { name: "b" })],
    cut: (call) => inShop(call) && isFrontend(call),
  },
  {
    title: "a deleted last ALLOW cuts nothing",
    before: [allow([FROM_FRONTEND])],
    after: [],
    cut: never,
  },
  {
    title: "a DENY with a selector cuts connections to the workloads it picks",
    before: [],
    after: [deny([FROM_BATCH], { matchLabels: { app: "db" } })],
    cut: (call) => call.server === "db" && isBatch(call),
  },
  {
    title: "a DENY of the root namespace cuts in every namespace",
    before: [],
    after: [deny([FROM_BATCH], { namespace: "istio-system" })],
    cut: isBatch,
  },
  {
    title: "STRICT cuts plaintext",
    before: [],
    after: [peerAuthentication("STRICT")],
    cut: (call) => inShop(call) && isPlaintext(call),
  },
  {
    title: "an exception from STRICT that goes cuts plaintext to that port",
    before: [
      peerAuthentication("STRICT", {
        matchLabels: { app: "db" },
        ports: { [ECHO_PORT]: "PERMISSIVE", [SECOND_ECHO_PORT]: "PERMISSIVE" },
      }),
    ],
    after: [
      peerAuthentication("STRICT", {
        matchLabels: { app: "db" },
        ports: { [SECOND_ECHO_PORT]: "PERMISSIVE" },
      }),
    ],
    cut: (call) => call.server === "db" && call.port === ECHO_PORT && isPlaintext(call),
  },
  {
    title: "a policy that still allows all, one of another namespace and a dry run cut nothing",
    before: [],
    after: [
      allow([{}], { name: "all" }),
      deny([rule({ operation: { ports: ["1"] } })], { name: "unused" }),
      deny([{}], { namespace: "web" }),
      deny([{}], { name: "dry", annotations: { "istio.io/dry-run": "true" } }),
    ],
    cut: never,
  },
];

/** Holds what is cut, and what still works, against what is expected. */
async function assertCut(
  mesh: PolicyMesh,
  standing: readonly StandingConnection[],
  cut: (call: Call) => boolean,
): Promise<void> {
  const wanted = standing.filter(({ call }) => cut(call));
  await mesh.cluster.until("the connections are cut", () =>
    wanted.every(({ ended }) => ended !== undefined),
  );
  const others = standing.filter(({ call }) => !cut(call));
  await Promise.all(others.map((each) => each.use()));
  const ends = standing.filter(({ ended }) => ended !== undefined);
  assert.deepEqual(
    ends.map(({ call, ended }) => `${describeCall(call)} ${ended}`),
    wanted.map(({ call }) => `${describeCall(call)} ECONNRESET`),
  );
}

describe("when policies change,", () => {
  let mesh: PolicyMesh;
  before(async () => {
    mesh = await PolicyMesh.start();
    await serveEcho(mesh);
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  for (const { title, before: first, after: then, cut } of ROWS) {
    test(title, async () => {
      await mesh.enforce(...first);
      const standing = await StandingConnection.openAll(mesh);
      assert.ok(standing.some(({ call }) => cut(call)) || cut === never);
      await mesh.enforce(...then);
      await assertCut(mesh, standing, cut);
      for (const each of standing) each.close();
    });
  }

  test("a workload whose labels change comes under a policy, and leaves it, as it runs", async () => {
    const labelled = (tier: string) =>
      pod({ namespace: "shop", name: "db", node: "node2", labels: { tier } });
    await mesh.enforce(deny([FROM_FRONTEND], { matchLabels: { tier: "secret" } }));
    const standing = await StandingConnection.openAll(mesh);
    const { uid } = (await mesh.cluster.pod("shop/db")).metadata;
    await mesh.cluster.apply(...labelled("secret"));
    await mesh.settle();
    await assertCut(mesh, standing, (call) => call.server === "db" && isFrontend(call));
    await mesh.cluster.apply(...labelled("data"));
    await mesh.settle();
    await mesh.assertAllowed(() => true);
    assert.equal((await mesh.cluster.pod("shop/db")).metadata.uid, uid);
    for (const each of standing) each.close();
  });

  test("a new policy takes effect well within a second", async () => {
    await mesh.enforce();
    const call = { client: "frontend", server: "db", port: ECHO_PORT, family: "ipv4" } as const;
    const standing = await StandingConnection.open(mesh, call);
    const startedAt = performance.now();
    await mesh.save("quick.json", JSON.stringify(deny([FROM_FRONTEND])));
    await mesh.cluster.until("the connection is cut", () => standing.ended !== undefined);
    const tookMs = performance.now() - startedAt;
    assert.ok(tookMs < CUT_WITHIN_MS, `${tookMs} ms`);
  });
});
