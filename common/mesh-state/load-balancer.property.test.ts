/** The balancer against a naive one, on services and endpoints of all kinds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { LoadBalancing, RoutingScope, Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { selectEndpoint } from "./load-balancer.ts";
import { ProxyState } from "./proxy-state.ts";
import { ip, pod, ports, service, update } from "./test-records.ts";

const SCOPES = ["region", "zone", "subzone", "node", "cluster", "network"] as const;
const place = fc.constantFrom("", "a", "b");

const placed = fc.record({
  region: place,
  zone: place,
  subzone: place,
  node: place,
  clusterId: place,
  network: fc.constantFrom("", "", "", "far"),
});

const endpoint = fc.record({
  where: placed,
  status: fc.constantFrom("healthy" as const, "unhealthy" as const),
  capacity: fc.nat(4),
  targetPort: fc.constantFrom(0, 8080, 9090),
  addressed: fc.constantFrom(
    "address" as const,
    "address" as const,
    "name" as const,
    "none" as const,
  ),
});

const balancing: fc.Arbitrary<LoadBalancing | undefined> = fc.option(
  fc.record({
    mode: fc.constantFrom("unspecified" as const, "strict" as const, "failover" as const),
    routingPreference: fc.uniqueArray(fc.constantFrom<RoutingScope>(...SCOPES), { maxLength: 4 }),
    healthPolicy: fc.constantFrom("only-healthy" as const, "allow-all" as const),
  }),
  { nil: undefined },
);

const scenario = fc.record({
  source: placed,
  endpoints: fc.array(endpoint, { maxLength: 12 }),
  balancing,
  port: fc.constantFrom(0, 8080),
  excluded: fc.uniqueArray(fc.nat(11), { maxLength: 4 }),
});

type Placed = typeof placed extends fc.Arbitrary<infer Value> ? Value : never;
type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

function workloadOf(name: string, { region, zone, subzone, ...rest }: Placed): Workload {
  return pod(name, ["10.9.9.9"], { ...rest, locality: { region, zone, subzone } });
}

function worldOf({ source, endpoints, balancing: loadBalancing, port }: Scenario) {
  const target: Service = service("web", ["10.1.0.1"], {
    ports: ports([80, port]),
    ...(loadBalancing && { loadBalancing }),
  });
  const workloads = endpoints.map(({ where, status, capacity, targetPort, addressed }, i) => ({
    ...workloadOf(`e${i}`, where),
    addresses: addressed === "address" ? [ip(`10.0.0.${i + 1}`)] : [],
    hostname: addressed === "name" ? `e${i}.example` : "",
    services: new Map([["shop/web", ports([80, targetPort])]]),
    status,
    capacity,
  }));
  const state = new ProxyState({ network: "" });
  state.apply(update({ services: [target], workloads }));
  return { state, target, workloads, client: workloadOf("client", source) };
}

const PLACES: Readonly<Record<(typeof SCOPES)[number], (workload: Workload) => string>> = {
  region: ({ locality }) => locality.region,
  zone: ({ locality }) => locality.zone,
  subzone: ({ locality }) => locality.subzone,
  node: ({ node }) => node,
  cluster: ({ clusterId }) => clusterId,
  network: ({ network }) => network,
};

/** Who may be chosen, as the rules say it, without any care for speed. */
function eligible(
  { target, workloads, client }: ReturnType<typeof worldOf>,
  exclude: ReadonlySet<string> = new Set(),
): readonly Workload[] {
  const { mode = "unspecified", routingPreference = [], healthPolicy } = target.loadBalancing ?? {};
  const reachable = workloads.filter((workload) => {
    const port = workload.services.get("shop/web")?.[0]?.targetPort || target.ports[0]?.targetPort;
    const named = workload.addresses.length > 0 || workload.hostname !== "";
    const well = workload.status === "healthy" || healthPolicy === "allow-all";
    const near = workload.network === client.network && !exclude.has(workload.uid);
    return named && well && port && workload.capacity > 0 && near;
  });
  const rank = (workload: Workload) => {
    const differs = routingPreference.findIndex((scope) => {
      const placeOf = PLACES[scope as (typeof SCOPES)[number]];
      return placeOf(workload) !== placeOf(client);
    });
    return differs < 0 ? routingPreference.length : differs;
  };
  if (mode === "unspecified") return reachable;
  const best = mode === "strict" ? routingPreference.length : Math.max(0, ...reachable.map(rank));
  return reachable.filter((workload) => rank(workload) === best);
}

test("who is chosen may be, and somebody is chosen whenever anybody may be", () => {
  fc.assert(
    fc.property(
      scenario,
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (s, at) => {
        const world = worldOf(s);
        const exclude = new Set(s.excluded.map((i) => world.workloads[i]?.uid ?? ""));
        const allowed = eligible(world, exclude);
        const options = { sourceWorkload: world.client, exclude, random: () => at };
        const chosen = selectEndpoint(world.state, world.target, 80, options);
        if (allowed.length === 0) assert.equal(chosen, undefined);
        else assert.ok(allowed.some(({ uid }) => uid === chosen?.workload.uid));
        if (chosen?.workload.hostname === "")
          assert.ok(chosen.workload.addresses.includes(chosen.ip ?? ip("::")));
      },
    ),
    { numRuns: 500 },
  );
});

test("over all of chance, each is chosen as often as its weight says", () => {
  fc.assert(
    fc.property(scenario, (s) => {
      const world = worldOf(s);
      const allowed = eligible(world);
      const total = allowed.reduce((sum, { capacity }) => sum + capacity, 0);
      const counts = new Map<string, number>();
      for (let i = 0; i < total; i++) {
        const options = { sourceWorkload: world.client, random: () => (i + 0.5) / total };
        const chosen = selectEndpoint(world.state, world.target, 80, options);
        const uid = chosen?.workload.uid ?? "nobody";
        counts.set(uid, (counts.get(uid) ?? 0) + 1);
      }
      assert.deepEqual(
        Object.fromEntries(counts),
        Object.fromEntries(allowed.map(({ uid, capacity }) => [uid, capacity])),
      );
    }),
  );
});

test("a service that passes everything through selects nobody", () => {
  fc.assert(
    fc.property(scenario, (s) => {
      const world = worldOf(s);
      const loadBalancing = {
        mode: "passthrough",
        routingPreference: [],
        healthPolicy: "allow-all",
      } as const;
      const target = { ...world.target, loadBalancing };
      world.state.apply(update({ services: [target] }));
      const options = { sourceWorkload: world.client, random: () => 0 };
      assert.equal(selectEndpoint(world.state, target, 80, options), undefined);
    }),
  );
});
