/** PeerAuthentication: every combination of modes, port exceptions, precedence, and incremental upkeep. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compilePolicies, evaluate } from "#common/authorization/evaluate.ts";
import type { MtlsMode, PeerAuthentication } from "#common/kubernetes/objects.ts";
import { type Authorization, EMPTY_MATCH, type Match } from "#common/model/authorization.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { parseIp } from "#common/model/ip.ts";
import { convertPeerAuthentications, PolicyIndex } from "./index.ts";

const options = { rootNamespace: "istio-system" };
const STATIC = "istio-system/istio_converted_static_strict";
const CONVERTED = "shop/converted_peer_authentication_w";
const labels = { app: "cart", version: "v1" };

type Spec = NonNullable<PeerAuthentication["spec"]>;

function peers(
  namespace: string,
  name: string,
  spec: unknown,
  created?: string,
): PeerAuthentication {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "PeerAuthentication",
    metadata: { namespace, name, ...(created && { creationTimestamp: created }) },
    spec: spec as Spec,
  };
}

const selector = { matchLabels: { app: "cart" } };
const mtls = (mode: string) => ({ mtls: { mode } });
const ports = (modes: Record<string, string>) => ({
  portLevelMtls: Object.fromEntries(Object.entries(modes).map(([p, mode]) => [p, { mode }])),
});

function indexOf(policies: readonly PeerAuthentication[]): PolicyIndex {
  const index = new PolicyIndex(options);
  for (const policy of policies) index.set(policy);
  return index;
}

/** The ports, of those given, on which a plaintext peer gets through to the workload `labels` of shop. */
function openPorts(
  index: PolicyIndex,
  candidates: readonly number[],
  namespace = "shop",
): number[] {
  const keys = index.selectPolicies(labels, namespace);
  const policies = keys.map((key): Authorization => {
    const policy = index.authorizations().get(key);
    assert.ok(policy !== undefined, `the workload names ${key}, which ztunnel is not told`);
    return policy;
  });
  const ip = parseIp("10.0.0.1");
  assert.ok(ip !== undefined);
  const base = { sourceIp: ip, destinationIp: ip, destinationNetwork: "" };
  const identified = { ...base, sourceIdentity: makeIdentity("cluster.local", "web", "front") };
  const compiled = compilePolicies(policies);
  for (const destinationPort of candidates) {
    assert.equal(evaluate({ ...identified, destinationPort }, compiled).allowed, true);
  }
  return candidates.filter((p) => evaluate({ ...base, destinationPort: p }, compiled).allowed);
}

const MODES: readonly (MtlsMode | undefined)[] = [
  undefined,
  "UNSET",
  "DISABLE",
  "PERMISSIVE",
  "STRICT",
];

test("every combination of mesh, namespace, workload and port modes: the nearest that is set wins", () => {
  const isSet = (mode: MtlsMode | undefined) => mode !== undefined && mode !== "UNSET";
  for (const mesh of MODES) {
    for (const namespace of MODES) {
      for (const workload of MODES) {
        for (const port of MODES) {
          const index = indexOf([
            ...(mesh ? [peers("istio-system", "m", mtls(mesh))] : []),
            ...(namespace ? [peers("shop", "n", mtls(namespace))] : []),
            peers("shop", "w", {
              selector,
              ...(workload && mtls(workload)),
              ...(port && ports({ 8080: port })),
            }),
          ]);
          const onOthers = [workload, namespace, mesh].find(isSet) ?? "PERMISSIVE";
          const onPort = isSet(port) ? port : onOthers;
          const expected = [
            ...(onPort === "STRICT" ? [] : [8080]),
            ...(onOthers === "STRICT" ? [] : [9090]),
          ];
          const name = JSON.stringify({ mesh, namespace, workload, port });
          assert.deepEqual(openPorts(index, [8080, 9090]), expected, name);
        }
      }
    }
  }
});

const clause = (match: Partial<Match>) => ({ matches: [{ ...EMPTY_MATCH, ...match }] });
const notPrincipals: Match["notPrincipals"] = [{ kind: "presence" }];

/** Name, the workload policy, the keys that its workload lists, and the rules of its converted policy. */
const vectors: [string, unknown, string[], Authorization["rules"] | undefined][] = [
  ["STRICT", mtls("STRICT"), [STATIC], undefined],
  ["PERMISSIVE", mtls("PERMISSIVE"), [], undefined],
  ["DISABLE", mtls("DISABLE"), [], undefined],
  ["nothing set", {}, [], undefined],
  [
    "STRICT, all ports STRICT",
    { ...mtls("STRICT"), ...ports({ 80: "STRICT" }) },
    [STATIC],
    undefined,
  ],
  ["PERMISSIVE, ports UNSET", { ...mtls("PERMISSIVE"), ...ports({ 80: "UNSET" }) }, [], undefined],
  [
    "STRICT with PERMISSIVE and DISABLE exceptions",
    { ...mtls("STRICT"), ...ports({ 9090: "DISABLE", 80: "PERMISSIVE", 81: "STRICT" }) },
    [CONVERTED],
    [
      {
        clauses: [
          clause({ notPrincipals }),
          clause({ notDestinationPorts: [80] }),
          clause({ notDestinationPorts: [9090] }),
        ],
      },
    ],
  ],
  [
    "PERMISSIVE with STRICT exceptions",
    { ...mtls("PERMISSIVE"), ...ports({ 9090: "STRICT", 80: "STRICT", 81: "DISABLE" }) },
    [CONVERTED],
    [
      { clauses: [clause({ notPrincipals, destinationPorts: [80] })] },
      { clauses: [clause({ notPrincipals, destinationPorts: [9090] })] },
    ],
  ],
];

for (const [name, spec, keys, rules] of vectors) {
  test(`a workload policy becomes what Istio makes of it: ${name}`, () => {
    const policy = peers("shop", "w", { selector, ...(spec as object) });
    const index = indexOf([policy]);
    assert.deepEqual(index.selectPolicies(labels, "shop"), keys);
    const { authorizations } = convertPeerAuthentications([policy], options);
    const converted = authorizations.find((a) => a.name.startsWith("converted_"));
    assert.deepEqual(converted?.rules, rules);
    if (converted === undefined) return;
    const { namespace, scope, action, dryRun } = converted;
    assert.deepEqual(
      { namespace, scope, action, dryRun },
      { namespace: "shop", scope: "workload-selector", action: "deny", dryRun: false },
    );
  });
}

test("the static STRICT policy is sent as soon as there is any PeerAuthentication, and only then", () => {
  assert.deepEqual(convertPeerAuthentications([], options).authorizations, []);
  const { authorizations } = convertPeerAuthentications(
    [peers("shop", "n", mtls("PERMISSIVE"))],
    options,
  );
  assert.deepEqual(authorizations, [
    {
      namespace: "istio-system",
      name: "istio_converted_static_strict",
      scope: "workload-selector",
      action: "deny",
      rules: [{ clauses: [clause({ notPrincipals })] }],
      dryRun: false,
    },
  ]);
});

test("upstream 54146: several STRICT ports each refuse plaintext", () => {
  const strict = { selector, ...ports({ 80: "STRICT", 81: "STRICT", 82: "STRICT" }) };
  assert.deepEqual(openPorts(indexOf([peers("shop", "w", strict)]), [80, 81, 82, 83]), [83]);
});

test("upstream 49098, 53884: a PERMISSIVE port stays open under an inherited STRICT, and only it", () => {
  const exception = peers("shop", "w", { selector, ...ports({ 80: "PERMISSIVE" }) });
  for (const parent of ["istio-system", "shop"]) {
    const index = indexOf([peers(parent, "p", mtls("STRICT")), exception]);
    assert.deepEqual(openPorts(index, [80, 81]), [80]);
  }
});

test("a namespace that sets nothing between a STRICT mesh and a port exception opens nothing more", () => {
  const index = indexOf([
    peers("istio-system", "m", mtls("STRICT")),
    peers("shop", "n", {}),
    peers("shop", "w", { selector, ...ports({ 80: "PERMISSIVE" }) }),
  ]);
  assert.deepEqual(openPorts(index, [80, 81]), [80]);
});

test("upstream 51556: a policy selects only workloads of its own namespace", () => {
  const index = indexOf([peers("other", "w", { selector, ...mtls("STRICT") })]);
  assert.deepEqual(index.selectPolicies(labels, "shop"), []);
  assert.deepEqual(index.selectPolicies(labels, "other"), [STATIC]);
  assert.deepEqual(index.selectPolicies({ app: "other" }, "other"), []);
});

test("absent, empty and label-less selectors all make a policy of the whole namespace or mesh", () => {
  for (const wide of [{}, { selector: {} }, { selector: { matchLabels: {} } }]) {
    const inNamespace = indexOf([peers("shop", "n", { ...wide, ...mtls("STRICT") })]);
    assert.deepEqual(inNamespace.selectPolicies({}, "shop"), [STATIC]);
    assert.deepEqual(inNamespace.selectPolicies({}, "other"), []);
    const inMesh = indexOf([peers("istio-system", "m", { ...wide, ...mtls("STRICT") })]);
    assert.deepEqual(inMesh.selectPolicies({}, "other"), [STATIC]);
  }
});

test("on one level the oldest policy counts, then the first by name", () => {
  const strict = (name: string, created?: string) => peers("shop", name, mtls("STRICT"), created);
  const open = (name: string, created?: string) => peers("shop", name, mtls("PERMISSIVE"), created);
  const early = "2026-01-01T00:00:00Z";
  const late = "2026-01-01T01:30:00+01:00";
  const cases: [PeerAuthentication[], boolean][] = [
    [[strict("z", early), open("a", late)], true],
    [[strict("a", late), open("z", early)], false],
    [[strict("a", early), open("b", early)], true],
    [[strict("b"), open("a")], false],
  ];
  for (const [policies, isStrict] of cases) {
    for (const order of [policies, [...policies].reverse()]) {
      assert.deepEqual(openPorts(indexOf(order), [80]), isStrict ? [] : [80]);
      const selecting = order.map((p) => ({ ...p, spec: { ...p.spec, selector } }));
      assert.deepEqual(openPorts(indexOf(selecting), [80]), isStrict ? [] : [80]);
    }
  }
});

test("a selector in the root namespace has no effect, as in Istio, and an issue says so", () => {
  const policy = peers("istio-system", "w", { selector, ...mtls("STRICT") });
  const index = new PolicyIndex(options);
  const { issues } = index.set(policy);
  assert.deepEqual(
    issues.map(({ field, effect }) => ({ field, effect })),
    [{ field: "selector", effect: "ignored" }],
  );
  assert.deepEqual(index.selectPolicies(labels, "shop"), []);
});

/** A policy that cannot be read, and the ports that it may leave open beside a PERMISSIVE mesh. */
const unreadable: [string, unknown, number[]][] = [
  ["an unknown mode", { selector, ...mtls("strict") }, []],
  ["a mode that is not in an object", { selector, mtls: "STRICT" }, []],
  ["an unknown field", { selector, mtl: { mode: "STRICT" } }, []],
  ["an unparsable STRICT port", { selector, ...ports({ http: "STRICT", 80: "PERMISSIVE" }) }, [80]],
  [
    "an unparsable exception",
    { selector, ...mtls("STRICT"), ...ports({ http: "PERMISSIVE" }) },
    [],
  ],
  ["a port out of range", { selector, ...ports({ 70000: "STRICT" }) }, []],
  ["one port written twice", { selector, ...ports({ "080": "STRICT", 80: "PERMISSIVE" }) }, [81]],
  ["ports that are no object", { selector, portLevelMtls: [80] }, []],
  ["an unknown kind of selector", { selector: { matchExpressions: [] }, ...mtls("STRICT") }, []],
  [
    "an unknown port mode",
    { selector, ...mtls("PERMISSIVE"), ...ports({ 80: "STRIKT", 81: "PERMISSIVE" }) },
    [81],
  ],
];

for (const [name, spec, expected] of unreadable) {
  test(`never wider: ${name} leaves nothing open that it might have closed`, () => {
    const index = new PolicyIndex(options);
    const { issues } = index.set(peers("shop", "w", spec));
    assert.deepEqual(openPorts(index, [80, 81]), expected);
    if (name !== "one port written twice") assert.ok(issues.length > 0);
  });
}

test("a PERMISSIVE policy with an unreadable selector is ignored, so that what is STRICT stays so", () => {
  const broken = { selector: { matchExpressions: [] }, ...mtls("PERMISSIVE") };
  const index = indexOf([
    peers("shop", "a", broken, "2020-01-01T00:00:00Z"),
    peers("shop", "n", mtls("STRICT"), "2026-01-01T00:00:00Z"),
  ]);
  assert.deepEqual(openPorts(index, [80]), []);
});

const anyMode = fc.constantFrom("UNSET", "PERMISSIVE", "STRICT", "DISABLE");
const anyPeers = fc
  .record({
    namespace: fc.constantFrom("istio-system", "shop", "other"),
    name: fc.constantFrom("a", "b", "c"),
    selects: fc.boolean(),
    mode: anyMode,
    portModes: fc.dictionary(fc.constantFrom("80", "81"), anyMode),
    created: fc.constantFrom("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
  })
  .map(({ namespace, name, selects, mode, portModes, created }) =>
    peers(
      namespace,
      name,
      { ...(selects && { selector }), ...mtls(mode), ...ports(portModes) },
      created,
    ),
  );

test("any history of changes ends where building from scratch does, and its deltas add up", () => {
  const step = fc.record({ policy: anyPeers, remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const index = new PolicyIndex(options);
      const replica = new Map<string, Authorization>();
      const current = new Map<string, PeerAuthentication>();
      for (const { policy, remove } of steps) {
        const { name, namespace = "" } = policy.metadata;
        const before = selections(index);
        const change = remove
          ? index.remove("PeerAuthentication", { namespace, name })
          : index.set(policy);
        if (remove) current.delete(`${namespace}/${name}`);
        else current.set(`${namespace}/${name}`, policy);
        for (const key of change.removed) assert.ok(replica.delete(key));
        for (const a of change.upserted) replica.set(`${a.namespace}/${a.name}`, a);
        const { affected } = change;
        for (const [ns, keys] of selections(index)) {
          const told = affected === "all" || (affected !== "none" && affected.namespace === ns);
          if (!told) assert.deepEqual(keys, before.get(ns), `${ns} changed untold`);
        }
      }
      const fresh = convertPeerAuthentications(current.values(), options).authorizations;
      const sorted = [...replica].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, a]) => a);
      assert.deepEqual(sorted, fresh);
      assert.deepEqual(selections(index), selections(indexOf([...current.values()])));
    }),
    { numRuns: 500 },
  );
});

function selections(index: PolicyIndex): Map<string, readonly string[]> {
  const namespaces = ["istio-system", "shop", "other", "fourth"];
  return new Map(namespaces.map((ns) => [ns, index.selectPolicies(labels, ns)]));
}
