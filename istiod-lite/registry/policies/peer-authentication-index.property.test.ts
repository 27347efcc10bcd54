/**
 * Any history of PeerAuthentications: the index never drifts, and tells everything that it changes.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { PeerAuthentication } from "#common/kubernetes/objects.ts";
import type { Authorization } from "#common/model/authorization.ts";
import { convertPeerAuthentications, PolicyIndex } from "./index.ts";
import { indexOf, labels, mtls, options, peers, ports, selector } from "./peer-fixtures.ts";

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
