/**
 * How rules, policies, actions and scopes combine into one verdict; and policies that never count.
 */
import { after, before, describe, test } from "node:test";
import { pod } from "#test/support/objects.ts";
import { type Call, PolicyMesh } from "#test/support/policy-mesh.ts";
import { allow, authorizationPolicy, deny, rule } from "#test/support/policy-objects.ts";

const FROM_FRONTEND = { principals: ["cluster.local/ns/web/sa/frontend"] };
const FROM_BATCH = { principals: ["cluster.local/ns/web/sa/batch"] };
const FROM_WEB = { namespaces: ["web"] };
const EVERYTHING = [{}];

interface Row {
  readonly title: string;
  readonly policies: readonly object[];
  readonly allowed: (call: Call) => boolean;
}

const isFrontend = ({ client }: Call): boolean => client === "frontend";
const isBatch = ({ client }: Call): boolean => client === "batch";
const isWeb = (call: Call): boolean => isFrontend(call) || isBatch(call);
const isMeshed = ({ client }: Call): boolean => client !== "outsider";
const inShop = ({ server }: Call): boolean => server !== "staging";
const isDb = ({ server }: Call): boolean => server === "db";
const always = (): boolean => true;
const never = (): boolean => false;

const ALONE: readonly Row[] = [
  { title: "no policy at all allows everything", policies: [], allowed: always },
  {
    title: "an empty spec denies everything",
    policies: [authorizationPolicy({})],
    allowed: (call) => !inShop(call),
  },
  {
    title: "ALLOW without rules denies everything",
    policies: [allow([])],
    allowed: (call) => !inShop(call),
  },
  { title: "ALLOW with an empty rule allows everything", policies: [allow([{}])], allowed: always },
  {
    title: "rules without an action allow",
    policies: [authorizationPolicy({ rules: [rule({ source: FROM_FRONTEND })] })],
    allowed: (call) => !inShop(call) || isFrontend(call),
  },
  {
    title: "DENY with an empty rule denies everything",
    policies: [deny([{}])],
    allowed: (call) => !inShop(call),
  },
];

const RULES: readonly Row[] = [
  {
    title: "several rules: any of them is enough",
    policies: [
      allow([
        rule({ source: FROM_FRONTEND, operation: { ports: ["8080"] } }),
        rule({ source: FROM_BATCH, operation: { ports: ["9090"] } }),
      ]),
    ],
    allowed: (call) =>
      !inShop(call) ||
      (isFrontend(call) && call.port === 8080) ||
      (isBatch(call) && call.port === 9090),
  },
  {
    title: "several sources and several operations of a rule: any of each",
    policies: [
      allow([
        {
          from: [{ source: FROM_FRONTEND }, { source: { serviceAccounts: ["frontend"] } }],
          to: [{ operation: { ports: ["9090"] } }, { operation: { ports: ["7070"] } }],
        },
      ]),
    ],
    allowed: (call) =>
      !inShop(call) || (["frontend", "neighbour"].includes(call.client) && call.port !== 8080),
  },
  {
    title: "from, to and every when of a rule: all of them",
    policies: [
      allow([
        {
          from: [{ source: FROM_WEB }],
          to: [{ operation: { ports: ["8080", "9090"] } }],
          when: [
            { key: "source.principal", notValues: ["*/sa/batch"] },
            { key: "destination.port", notValues: ["9090"] },
          ],
        },
      ]),
    ],
    allowed: (call) => !inShop(call) || (isFrontend(call) && call.port === 8080),
  },
  {
    title: "from, to and when of a DENY: all of them",
    policies: [
      deny([
        rule({
          source: FROM_WEB,
          operation: { ports: ["8080"] },
          when: { key: "source.namespace", notValues: ["shop"] },
        }),
      ]),
    ],
    allowed: (call) => !inShop(call) || !(isWeb(call) && call.port === 8080),
  },
];

const ACTIONS: readonly Row[] = [
  {
    title: "DENY comes before ALLOW",
    policies: [
      allow(EVERYTHING, { name: "a" }),
      deny([rule({ source: FROM_FRONTEND })], { name: "b" }),
    ],
    allowed: (call) => !inShop(call) || !isFrontend(call),
  },
  {
    title: "DENY comes before ALLOW whatever their names are",
    policies: [
      deny([rule({ source: FROM_FRONTEND })], { name: "a" }),
      allow([rule({ source: FROM_WEB })], { name: "b" }),
    ],
    allowed: (call) => !inShop(call) || isBatch(call),
  },
  {
    title: "several ALLOW policies: any of them is enough",
    policies: [
      allow([rule({ source: FROM_FRONTEND })], { name: "a" }),
      allow([rule({ source: FROM_BATCH })], { name: "b" }),
    ],
    allowed: (call) => !inShop(call) || isWeb(call),
  },
  {
    title: "several DENY policies: any of them is enough",
    policies: [
      deny([rule({ source: FROM_FRONTEND })], { name: "a" }),
      deny([rule({ operation: { ports: ["9090"] } })], { name: "b" }),
    ],
    allowed: (call) => !inShop(call) || !(isFrontend(call) || call.port === 9090),
  },
  {
    title: "a dry run decides nothing",
    policies: [
      deny(EVERYTHING, { name: "a", annotations: { "istio.io/dry-run": "true" } }),
      allow([rule({ source: FROM_WEB })], {
        name: "b",
        annotations: { "istio.io/dry-run": "true" },
      }),
    ],
    allowed: always,
  },
  {
    title: "AUDIT and CUSTOM decide nothing",
    policies: [
      authorizationPolicy({ action: "AUDIT", rules: EVERYTHING }, { name: "a" }),
      authorizationPolicy(
        { action: "CUSTOM", provider: { name: "p" }, rules: EVERYTHING },
        { name: "b" },
      ),
    ],
    allowed: always,
  },
  {
    title: "a policy with a target is no business of ztunnel",
    policies: [
      authorizationPolicy({ targetRefs: [{ kind: "Service", group: "", name: "db" }] }),
      deny(EVERYTHING, { name: "b", namespace: "nowhere" }),
    ],
    allowed: always,
  },
];

const DB = { app: "db" };

const SCOPES: readonly Row[] = [
  {
    title: "a selector picks workloads of its own namespace only",
    policies: [deny(EVERYTHING, { matchLabels: DB })],
    allowed: (call) => !isDb(call),
  },
  {
    title: "an ALLOW with a selector leaves other workloads alone",
    policies: [allow([rule({ source: FROM_FRONTEND })], { matchLabels: DB })],
    allowed: (call) => !isDb(call) || isFrontend(call),
  },
  {
    title: "a selector asks for all of its labels",
    policies: [deny(EVERYTHING, { matchLabels: { tier: "data", app: "cache" } })],
    allowed: ({ server }) => server !== "cache",
  },
  {
    title: "a selector that no workload meets picks none",
    policies: [deny(EVERYTHING, { matchLabels: { app: "db", tier: "web" } })],
    allowed: always,
  },
  {
    title: "an empty selector picks the whole namespace",
    policies: [deny(EVERYTHING, { matchLabels: {} })],
    allowed: (call) => !inShop(call),
  },
  {
    title: "a policy of the root namespace is for the whole mesh",
    policies: [deny([rule({ source: FROM_FRONTEND })], { namespace: "istio-system" })],
    allowed: (call) => !isFrontend(call),
  },
  {
    title: "a selector in the root namespace picks workloads of every namespace",
    policies: [deny(EVERYTHING, { namespace: "istio-system", matchLabels: DB })],
    allowed: ({ server }) => server === "cache",
  },
  {
    title: "serviceAccounts without a namespace are the policy's, not the workload's",
    policies: [
      allow([rule({ source: { serviceAccounts: ["frontend"] } })], { namespace: "istio-system" }),
    ],
    allowed: never,
  },
  {
    title: "ALLOW policies of all scopes: any of them is enough",
    policies: [
      allow([rule({ source: FROM_FRONTEND })], { namespace: "istio-system" }),
      allow([rule({ source: FROM_BATCH })]),
      allow([rule({ operation: { ports: ["9090"] } })], { name: "db", matchLabels: DB }),
    ],
    allowed: (call) =>
      isFrontend(call) || (inShop(call) && isBatch(call)) || (isDb(call) && call.port === 9090),
  },
  {
    title: "a DENY of any scope comes before an ALLOW of any scope",
    policies: [
      allow(EVERYTHING, { name: "db", matchLabels: DB }),
      deny([rule({ source: { notPrincipals: ["*"] } })], { namespace: "istio-system" }),
      deny([rule({ source: FROM_BATCH })]),
    ],
    allowed: (call) => isMeshed(call) && !(inShop(call) && isBatch(call)),
  },
];

describe("in composition", () => {
  let mesh: PolicyMesh;
  before(async () => {
    mesh = await PolicyMesh.start();
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  for (const { title, policies, allowed } of [...ALONE, ...RULES, ...ACTIONS, ...SCOPES]) {
    test(title, async () => {
      await mesh.enforce(...policies);
      await mesh.assertAllowed(allowed);
    });
  }

  test("a selector picks no workload of another namespace that changes later either", async () => {
    await mesh.enforce(deny(EVERYTHING, { matchLabels: DB }));
    const labels = { tier: "data", changed: "yes" };
    await mesh.cluster.apply(...pod({ namespace: "stage", name: "db", node: "node1", labels }));
    await mesh.settle();
    await mesh.assertAllowed((call) => !isDb(call));
  });

  test("whatever was refused was refused by policy", () => mesh.assertRefusalsCounted());
});
