/** Several contributors speak of one backend. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import { mergeBackends } from "./merge-backends.ts";

const tls = (sni: string): TrafficPolicy => ({
  tls: { mode: "simple", sni, subjectAltNames: [], insecureSkipVerify: false },
});
const random: TrafficPolicy = { loadBalancer: { kind: "random" } };
const roundRobin: TrafficPolicy = { loadBalancer: { kind: "round-robin" } };

test("nobody who speaks is nothing said", () => {
  const nothing = { policy: {}, portPolicies: {}, subsets: {} };
  assert.deepEqual(mergeBackends([]), nothing);
  assert.deepEqual(mergeBackends([undefined, undefined]), nothing);
});

test("of each setting the first counts, and settings of others stay", () => {
  const merged = mergeBackends([
    { policy: tls("a") },
    undefined,
    { policy: { ...tls("b"), ...random } },
  ]);
  assert.deepEqual(merged.policy, { ...tls("a"), ...random });
});

test("a port's and a subset's policy keep what the whole backend's brings", () => {
  const merged = mergeBackends([
    { policy: tls("a"), portPolicies: { 1: tls("p1") } },
    {
      policy: random,
      portPolicies: { 2: roundRobin },
      subsets: { v1: { workloads: ["w"], policy: roundRobin } },
    },
  ]);
  assert.deepEqual(merged.portPolicies, {
    1: { ...random, ...tls("p1") },
    2: { ...roundRobin, ...tls("a") },
  });
  assert.deepEqual(merged.subsets, {
    v1: { workloads: ["w"], policy: { ...roundRobin, ...tls("a") } },
  });
});
