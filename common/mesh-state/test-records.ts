/** Small records for the state store's tests. */
import assert from "node:assert/strict";
import type { Authorization } from "#common/model/authorization.ts";
import { type IpAddress, parseCidr, parseIp } from "#common/model/ip.ts";
import type { Service, ServicePort } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import type { StateUpdate } from "./proxy-state.ts";
import { EMPTY_UPDATE } from "./state-update.ts";

export function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

export function ports(...pairs: readonly (readonly [number, number])[]): readonly ServicePort[] {
  return pairs.map(([servicePort, targetPort]) => ({
    servicePort,
    targetPort,
    appProtocol: "unknown",
  }));
}

/** A healthy HBONE pod of namespace `shop` called `name`, at `addresses`. */
export function pod(
  name: string,
  addresses: readonly string[],
  fields: Partial<Workload> = {},
): Workload {
  return {
    uid: `Kubernetes//Pod/${fields.namespace ?? "shop"}/${name}`,
    name,
    namespace: "shop",
    addresses: addresses.map(ip),
    hostname: "",
    network: "",
    tunnelProtocol: "hbone",
    trustDomain: "cluster.local",
    serviceAccount: "default",
    node: "node-1",
    canonicalName: name,
    canonicalRevision: "latest",
    workloadType: "deployment",
    workloadName: name,
    nativeTunnel: false,
    services: new Map(),
    authorizationPolicies: [],
    status: "healthy",
    clusterId: "Kubernetes",
    locality: { region: "", zone: "", subzone: "" },
    networkMode: "standard",
    capacity: 1,
    ...fields,
  };
}

/** `addresses` are VIPs, or blocks where they have a prefix length. */
export function service(
  hostname: string,
  addresses: readonly string[],
  fields: Partial<Service> = {},
): Service {
  return {
    name: hostname,
    namespace: "shop",
    hostname,
    addresses: addresses.map((text) => {
      const cidr = text.includes("/") ? parseCidr(text) : undefined;
      return { network: "", ip: ip(text.replace(/\/.*/, "")), ...(cidr && { cidr }) };
    }),
    ports: ports([80, 8080]),
    subjectAltNames: [],
    weightedWaypoints: [],
    ipFamilies: "automatic",
    canonical: false,
    ingressUseWaypoint: false,
    visibility: "public",
    ...fields,
  };
}

/** An ALLOW policy of namespace `shop` that allows everything. */
export function policy(name: string, fields: Partial<Authorization> = {}): Authorization {
  return {
    name,
    namespace: "shop",
    scope: "namespace",
    action: "allow",
    rules: [{ clauses: [] }],
    dryRun: false,
    ...fields,
  };
}

export function update(fields: {
  readonly workloads?: readonly Workload[];
  readonly services?: readonly Service[];
  readonly removed?: readonly string[];
  readonly policies?: readonly Authorization[];
  readonly removedPolicies?: readonly string[];
}): StateUpdate {
  return {
    ...EMPTY_UPDATE,
    addresses: [
      ...(fields.workloads ?? []).map((workload) => ({ kind: "workload", workload }) as const),
      ...(fields.services ?? []).map((item) => ({ kind: "service", service: item }) as const),
    ],
    removedAddresses: fields.removed ?? [],
    policies: fields.policies ?? [],
    removedPolicies: fields.removedPolicies ?? [],
  };
}
