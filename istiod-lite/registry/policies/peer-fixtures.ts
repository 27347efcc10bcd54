/** Short hands for PeerAuthentications, and which ports they leave open to plaintext: for tests. */
import assert from "node:assert/strict";
import { compilePolicies, evaluate } from "#common/authorization/evaluate.ts";
import type { PeerAuthentication } from "#common/kubernetes/objects.ts";
import type { Authorization } from "#common/model/authorization.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { parseIp } from "#common/model/ip.ts";
import { PolicyIndex } from "./index.ts";

export const options = { rootNamespace: "istio-system" };
export const STATIC = "istio-system/istio_converted_static_strict";
export const CONVERTED = "shop/converted_peer_authentication_w";
export const labels = { app: "cart", version: "v1" };

type Spec = NonNullable<PeerAuthentication["spec"]>;

export function peers(
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

export const selector = { matchLabels: { app: "cart" } };
export const mtls = (mode: string) => ({ mtls: { mode } });
export const ports = (modes: Record<string, string>) => ({
  portLevelMtls: Object.fromEntries(Object.entries(modes).map(([p, mode]) => [p, { mode }])),
});

export function indexOf(policies: readonly PeerAuthentication[]): PolicyIndex {
  const index = new PolicyIndex(options);
  for (const policy of policies) index.set(policy);
  return index;
}

/**
 * The ports, of those given, on which a plaintext peer gets through to the workload `labels` of
 * shop.
 */
export function openPorts(
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
