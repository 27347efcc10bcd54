import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pod, ports, service } from "#common/mesh-state/test-records.ts";
import type { Workload } from "#common/model/workload.ts";
import { type EndpointQuery, endpointRecords } from "./endpoints.ts";

const SERVICE = service("api", []);

function endpoint(name: string, locality: string, fields: Partial<Workload> = {}): Workload {
  const [region = "", zone = "", subzone = ""] = locality.split("/");
  const services = new Map([["shop/api", ports([80, 8080])]]);
  return pod(name, ["10.0.0.1"], { locality: { region, zone, subzone }, services, ...fields });
}

const SELF = endpoint("waypoint", "eu/a/1");

/** Names of the endpoints with what `of` says of each. */
function found<Value>(
  workloads: readonly Workload[],
  fields: Partial<EndpointQuery>,
  of: (record: ReturnType<typeof endpointRecords>[number]) => Value,
): Record<string, Value> {
  const query = {
    service: SERVICE,
    port: 80,
    uids: undefined,
    self: SELF,
    loadBalancer: undefined,
  };
  const records = endpointRecords({ ...query, workloads, ...fields });
  return Object.fromEntries(records.map((record) => [record.workload.name, of(record)]));
}

test("endpoints are those that are well, serve the port, and are in the subset", () => {
  const workloads = [
    endpoint("a", "eu/a"),
    endpoint("ill", "eu/a", { status: "unhealthy" }),
    endpoint("far", "eu/a", { network: "other" }),
    endpoint("unusable", "eu/a", { unusable: "because" }),
    endpoint("b", "eu/a", { services: new Map([["shop/api", ports([80, 9090])]]) }),
  ];
  assert.deepEqual(
    found(workloads, {}, ({ targetPort }) => targetPort),
    { a: 8080, b: 9090 },
  );
  const uids = new Set([workloads[4]?.uid ?? ""]);
  assert.deepEqual(
    found(workloads, { uids }, ({ weight }) => weight),
    { b: 1 },
  );
  assert.deepEqual(
    found(workloads, { port: 81 }, () => 1),
    {},
  );
});

describe("nearer endpoints come first", () => {
  const workloads = [
    endpoint("subzone", "eu/a/1"),
    endpoint("zone", "eu/a/2"),
    endpoint("region", "eu/b/1"),
    endpoint("partner", "us/a/1"),
    endpoint("elsewhere", "asia/a/1"),
  ];
  test("as the backend's fail-over says", () => {
    const loadBalancer = { kind: "random", localityFailover: { eu: "us" } } as const;
    assert.deepEqual(
      found(workloads, { loadBalancer }, ({ tier }) => tier),
      { subzone: 0, zone: 1, region: 2, partner: 3, elsewhere: 4 },
    );
  });

  test("as the service prefers, and for nobody where it is strict", () => {
    const loadBalancing = {
      routingPreference: ["region", "zone"],
      mode: "failover",
      healthPolicy: "only-healthy",
    } as const;
    assert.deepEqual(
      found(workloads, { service: { ...SERVICE, loadBalancing } }, ({ tier }) => tier),
      { subzone: 0, zone: 0, region: 1, partner: 2, elsewhere: 2 },
    );
    const strict = { ...loadBalancing, mode: "strict" } as const;
    assert.deepEqual(
      found(workloads, { service: { ...SERVICE, loadBalancing: strict } }, () => 1),
      { subzone: 1, zone: 1 },
    );
  });

  test("or each place gets its share, divided among its endpoints", () => {
    const localityWeights = [{ from: "eu/a/*", to: { "eu/*": 80, us: 20 } }];
    const loadBalancer = { kind: "random", localityWeights } as const;
    const weights = found(workloads, { loadBalancer }, ({ weight, tier }) => [weight, tier]);
    assert.deepEqual(Object.keys(weights), ["subzone", "zone", "region", "partner"]);
    assert.ok(Math.abs((weights.zone?.[0] ?? 0) - 80 / 3) < 1e-9);
    assert.deepEqual(weights.partner, [20, 0]);
  });
});
