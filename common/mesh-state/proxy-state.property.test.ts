/** The incremental store against a model that works every answer out from scratch. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Authorization, policyKey } from "#common/model/authorization.ts";
import type { Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { selectEndpoint } from "./load-balancer.ts";
import { ProxyState, type StateUpdate } from "./proxy-state.ts";
import { ip, pod, policy, ports, service } from "./test-records.ts";

const ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "fd00::1"];
const BLOCKS = ["10.0.0.0/24", "10.0.0.0/16", "fd00::/16"];
const NAMESPACES = ["a", "b"];
const HOSTS = ["h", "k"];
const SERVICE_KEYS = NAMESPACES.flatMap((namespace) => HOSTS.map((host) => `${namespace}/${host}`));
const POLICY_KEYS = NAMESPACES.flatMap((namespace) => [`${namespace}/p`, `${namespace}/q`]);

const workloads: fc.Arbitrary<Workload> = fc
  .record({
    name: fc.constantFrom("w1", "w2", "w3"),
    namespace: fc.constantFrom(...NAMESPACES),
    addresses: fc.uniqueArray(fc.constantFrom(...ADDRESSES), { maxLength: 2 }),
    networkMode: fc.constantFrom("standard", "standard", "host-network"),
    tunnelProtocol: fc.constantFrom("none", "hbone"),
    status: fc.constantFrom("healthy", "unhealthy"),
    capacity: fc.nat({ max: 2 }),
    services: fc.uniqueArray(fc.constantFrom(...SERVICE_KEYS)),
    targetPort: fc.constantFrom(0, 9090),
    authorizationPolicies: fc.uniqueArray(fc.constantFrom(...POLICY_KEYS), { maxLength: 2 }),
  } as const)
  .map(({ name, addresses, services, targetPort, ...rest }) =>
    pod(name, addresses, {
      ...rest,
      services: new Map(services.map((key) => [key, ports([80, targetPort])])),
    }),
  );

const services: fc.Arbitrary<Service> = fc
  .record({
    hostname: fc.constantFrom(...HOSTS),
    namespace: fc.constantFrom(...NAMESPACES),
    addresses: fc.uniqueArray(fc.constantFrom(...ADDRESSES, ...BLOCKS), { maxLength: 3 }),
    canonical: fc.boolean(),
    visibility: fc.constantFrom("public", "namespace"),
    targetPort: fc.constantFrom(0, 8080),
  } as const)
  .map(({ hostname, addresses, targetPort, ...rest }) =>
    service(hostname, addresses, { ...rest, ports: ports([80, targetPort]) }),
  );

const policies: fc.Arbitrary<Authorization> = fc
  .record({
    name: fc.constantFrom("p", "q"),
    namespace: fc.constantFrom(...NAMESPACES),
    scope: fc.constantFrom("global", "namespace", "workload-selector"),
  } as const)
  .map(({ name, ...rest }) => policy(name, rest));

const names = fc.constantFrom(
  ...SERVICE_KEYS,
  ...NAMESPACES.flatMap((ns) => ["w1", "w2", "w3"].map((name) => `Kubernetes//Pod/${ns}/${name}`)),
);

const updates: fc.Arbitrary<StateUpdate> = fc.record({
  addresses: fc.array(
    fc.oneof(
      workloads.map((workload) => ({ kind: "workload", workload }) as const),
      services.map((item) => ({ kind: "service", service: item }) as const),
    ),
    { maxLength: 4 },
  ),
  removedAddresses: fc.array(names, { maxLength: 2 }),
  policies: fc.array(policies, { maxLength: 2 }),
  removedPolicies: fc.array(fc.constantFrom(...POLICY_KEYS), { maxLength: 1 }),
});

/** Plain lists, searched from one end to the other. */
class Model {
  readonly workloads = new Map<string, Workload>();
  readonly services = new Map<string, Service>();
  readonly policies = new Map<string, Authorization>();
  /** Who claimed which address, oldest first. */
  claims: { readonly uid: string; readonly address: string }[] = [];

  apply(update: StateUpdate): void {
    for (const key of update.removedPolicies) this.policies.delete(key);
    for (const item of update.policies) this.policies.set(policyKey(item), item);
    for (const name of update.removedAddresses) {
      this.workloads.delete(name);
      this.services.delete(name);
      this.claims = this.claims.filter(({ uid }) => uid !== name);
    }
    for (const item of update.addresses) {
      if (item.kind === "service") {
        this.services.set(`${item.service.namespace}/${item.service.hostname}`, item.service);
      } else this.#put(item.workload);
    }
  }

  #put(workload: Workload): void {
    const { uid } = workload;
    this.workloads.set(uid, workload);
    const wanted = workload.networkMode === "host-network" ? [] : [...workload.addresses];
    this.claims = this.claims.filter(
      (claim) => claim.uid !== uid || wanted.includes(ip(claim.address)),
    );
    for (const address of wanted) {
      if (this.claims.some((claim) => claim.uid === uid && claim.address === address)) continue;
      this.claims.push({ uid, address });
    }
  }

  find(address: string, client: string): Workload | Service | undefined {
    const owners = this.claims.flatMap((claim) =>
      claim.address === address ? [this.workloads.get(claim.uid)] : [],
    );
    const owner = owners.filter((item) => item?.tunnelProtocol === "hbone").at(-1) ?? owners.at(-1);
    const vip = this.#best(client, (item) =>
      item.addresses.some((a) => !a.cidr && a.ip === address),
    );
    if (vip && (!owner || owner.services.has(`${vip.namespace}/${vip.hostname}`))) return vip;
    if (owner) return owner;
    const holds = (item: Service, length: number): boolean =>
      item.addresses.some((a) => a.cidr?.length === length && inBlock(address, a.ip, length));
    const lengths = [24, 16];
    for (const own of [true, false]) {
      for (const length of lengths) {
        const found = this.#best(client, (item) => holds(item, length));
        if (found && (!own || found.namespace === client)) return found;
      }
    }
    return undefined;
  }

  #best(client: string, matches: (item: Service) => boolean): Service | undefined {
    const rank = (item: Service): string =>
      [item.namespace === client ? 0 : 1, item.canonical ? 0 : 1].join("") +
      `${item.namespace}/${item.hostname}`;
    return [...this.services.values()]
      .filter((item) => item.visibility === "public" || item.namespace === client)
      .filter(matches)
      .sort((a, b) => (rank(a) < rank(b) ? -1 : 1))[0];
  }

  endpoints(key: string): string[] {
    return [...this.workloads.values()].filter((w) => w.services.has(key)).map((w) => w.uid);
  }

  policiesFor(workload: Workload): string[] {
    return [...this.policies.values()]
      .filter(
        (item) =>
          item.scope === "global" ||
          (item.scope === "namespace" && item.namespace === workload.namespace) ||
          workload.authorizationPolicies.includes(policyKey(item)),
      )
      .map(policyKey)
      .sort();
  }

  eligible(target: Service): string[] {
    const key = `${target.namespace}/${target.hostname}`;
    return [...this.workloads.values()]
      .filter((w) => w.status === "healthy" && w.capacity > 0 && w.addresses.length > 0)
      .filter((w) => {
        const own = w.services.get(key)?.[0]?.targetPort;
        return own !== undefined && (own > 0 || (target.ports[0]?.targetPort ?? 0) > 0);
      })
      .map((w) => w.uid)
      .sort();
  }
}

/** By text: every block of this test ends at a dot or colon. */
function inBlock(address: string, block: string, length: number): boolean {
  if (block.includes(":")) return address.startsWith("fd00:");
  return address.includes(".") && address.startsWith(length === 24 ? "10.0.0." : "10.0.");
}

function chosen(state: ProxyState, target: Service): string[] {
  const uids = new Set<string>();
  for (let i = 0; i < 60; i++) {
    const found = selectEndpoint(state, target, 80, { random: () => i / 60 });
    if (found !== undefined) uids.add(found.workload.uid);
  }
  return [...uids].sort();
}

function check(state: ProxyState, model: Model): void {
  for (const address of [...ADDRESSES, "10.0.0.9", "10.0.9.9", "fd00::9"]) {
    for (const client of [...NAMESPACES, "c"]) {
      const found = state.findAddress({ ip: ip(address), clientNamespace: client });
      const record = found?.kind === "service" ? found.service : found?.workload;
      assert.equal(record, model.find(address, client), `${address} for ${client}`);
    }
  }
  for (const key of SERVICE_KEYS) {
    const target = model.services.get(key);
    assert.equal(state.findServiceByKey(key), target);
    if (target === undefined) continue;
    const uids = [...state.endpointsOf(target).workloads.keys()];
    assert.deepEqual(uids.sort(), model.endpoints(key).sort());
    assert.deepEqual(chosen(state, target), model.eligible(target));
  }
  for (const workload of model.workloads.values()) {
    const { compiled, missing } = state.policiesFor(workload);
    assert.deepEqual(
      compiled.policies.map(({ key }) => key),
      model.policiesFor(workload),
    );
    const unknown = workload.authorizationPolicies.filter((key) => !model.policies.has(key));
    assert.deepEqual(missing, unknown);
  }
  assert.equal(state.counts.workloads, model.workloads.size);
}

test("after any changes the store answers as if it had been built from scratch", () => {
  fc.assert(
    fc.property(fc.array(updates, { maxLength: 8 }), (sequence) => {
      const state = new ProxyState({ network: "" });
      const model = new Model();
      for (const update of sequence) {
        state.apply(update);
        model.apply(update);
        check(state, model);
      }
    }),
    { numRuns: 300 },
  );
});
