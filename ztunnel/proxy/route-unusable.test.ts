/** What the control plane says in words of a later version is not acted on in words of ours. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { EMPTY_UPDATE } from "#common/mesh-state/state-update.ts";
import { ip, pod, ports, service } from "#common/mesh-state/test-records.ts";
import type { MeshAddress } from "#common/model/mesh-address.ts";
import type { Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { chooseRoute } from "./route.ts";
import { StateWaiter } from "./state-waiter.ts";

const WEB = "shop/web.shop.svc.cluster.local";
const UNUSABLE = { unusable: "unknown tunnel protocol 7" };
const CLIENT = pod("client", ["10.0.0.1"]);
const VIP = "10.9.0.1";

function stateOf(workloads: readonly Workload[], services: readonly Service[] = []): ProxyState {
  const state = new ProxyState({ network: "" });
  const addresses: MeshAddress[] = [
    ...workloads.map((workload) => ({ kind: "workload" as const, workload })),
    ...services.map((one) => ({ kind: "service" as const, service: one })),
  ];
  state.apply({ ...EMPTY_UPDATE, addresses });
  return state;
}

function route(state: ProxyState, to: string, port: number) {
  const exclude = new Set<string>();
  const original = { ip: ip(to), port };
  return chooseRoute({ state, source: CLIENT, original, exclude, random: () => 0 });
}

const endpoint = (name: string, address: string, fields: Partial<Workload> = {}) =>
  pod(name, [address], { services: new Map([[WEB, ports([80, 8080])]]), ...fields });

test("a workload that is to be reached in an unknown way is not sent plaintext", () => {
  const chosen = route(stateOf([endpoint("web", "10.0.0.2", UNUSABLE)]), "10.0.0.2", 8080);
  assert.ok("ok" in chosen);
  assert.equal(chosen.reason, "unknown-destination");
  assert.match(chosen.message, /unknown tunnel protocol 7/);
});

test("a service sends to its other endpoints, and to none where all are unknown", () => {
  const web = service("web.shop.svc.cluster.local", [VIP], { ports: ports([80, 8080]) });
  const unusable = endpoint("new", "10.0.0.2", UNUSABLE);
  const both = route(stateOf([unusable, endpoint("old", "10.0.0.3")], [web]), VIP, 80);
  assert.ok(!("ok" in both) && both.kind === "hbone");
  assert.equal(both.address.ip, "10.0.0.3");
  const none = route(stateOf([unusable], [web]), VIP, 80);
  assert.ok("ok" in none && none.reason === "no-healthy-upstream");
});

test("a service that is to be balanced in an unknown way takes no connections", () => {
  const fields = { ports: ports([80, 8080]), unusable: "unknown load balancing mode 9" };
  const web = service("web.shop.svc.cluster.local", [VIP], fields);
  const chosen = route(stateOf([endpoint("old", "10.0.0.3")], [web]), VIP, 80);
  assert.ok("ok" in chosen);
  assert.match(chosen.message, /unknown load balancing mode 9/);
});

test("a pod of this node whose own record is not understood is not served", async () => {
  const own = endpoint("web", "10.0.0.2", UNUSABLE);
  const answer = await new StateWaiter(stateOf([own])).localWorkload(own.uid);
  assert.ok("ok" in answer);
  assert.match(answer.message, /is not served: unknown tunnel protocol 7/);
});
