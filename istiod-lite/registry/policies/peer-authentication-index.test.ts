/** PeerAuthentication: every combination of modes, port exceptions and precedence. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MtlsMode, PeerAuthentication } from "#common/kubernetes/objects.ts";
import { type Authorization, EMPTY_MATCH, type Match } from "#common/model/authorization.ts";
import { convertPeerAuthentications, PolicyIndex } from "./index.ts";
import {
  CONVERTED,
  indexOf,
  labels,
  mtls,
  openPorts,
  options,
  peers,
  ports,
  STATIC,
  selector,
} from "./peer-fixtures.ts";

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

/**
 * Name, the workload policy, the keys that its workload lists, and the rules of its converted
 * policy.
 */
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
