/** What becomes of a push of policies: the good, those understood in part, and those not at all. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { pod, policy } from "#common/mesh-state/test-records.ts";
import type { Authorization } from "#common/model/authorization.ts";
import { encodeAuthorization } from "./encode-authorization.ts";
import { meshHandlers } from "./state-feed.ts";
import { AUTHORIZATION_TYPE } from "./type-urls.ts";

const SHOP = pod("db", ["10.0.0.1"]);
const OTHER = pod("far", ["10.0.0.2"], { namespace: "other" });

/** A field 99 that nobody knows: two bytes of tag and one of value, at the end of the policy. */
const newer = (bytes: Uint8Array): Uint8Array => Uint8Array.of(...bytes, 0x98, 0x06, 1);
const GARBAGE = Uint8Array.of(0xff, 0xff, 0xff);

function feed() {
  const state = new ProxyState({ network: "", rootNamespace: "root" });
  const handlers = meshHandlers((update) => void state.apply(update), undefined, {
    rootNamespace: "root",
  });
  const handler = handlers.find(({ typeUrl }) => typeUrl === AUTHORIZATION_TYPE);
  assert.ok(handler !== undefined);
  const push = (resources: Readonly<Record<string, Uint8Array>>, removedResources: string[] = []) =>
    handler.accept({
      typeUrl: AUTHORIZATION_TYPE,
      nonce: "n",
      systemVersionInfo: "",
      removedResources,
      resources: Object.entries(resources).map(([name, value]) => ({
        name,
        aliases: [],
        version: "1",
        typeUrl: AUTHORIZATION_TYPE,
        value,
      })),
    });
  const missing = (workload = SHOP) => state.policiesFor(workload).missing;
  return { state, handler, push, missing };
}

const allow: Authorization = policy("p");

test("a policy that is understood in part is in force at its strictest, and is complained of", () => {
  const { state, handler, push } = feed();
  const complaints = push({ "shop/p": newer(encodeAuthorization(allow)) });
  assert.deepEqual(complaints, [
    {
      name: "shop/p",
      why: "the policy has a field that this version does not know",
      applied: true,
    },
  ]);
  const [known] = [...state.policies()];
  assert.deepEqual(known?.rules, []);
  assert.equal(handler.versions.has("shop/p"), false, "it is sent again after a reconnect");
});

test("a policy that cannot be read holds its namespace, or the mesh, until it can be", () => {
  for (const [namespace, far] of [
    ["shop", []],
    ["root", ["root/p"]],
  ] as const) {
    const { push, missing } = feed();
    const [complaint] = push({ [`${namespace}/p`]: GARBAGE });
    assert.equal(complaint?.applied, undefined);
    assert.deepEqual(missing(), [`${namespace}/p`]);
    assert.deepEqual(missing(OTHER), far);
    push({ [`${namespace}/p`]: encodeAuthorization({ ...allow, namespace }) });
    assert.deepEqual([missing(), missing(OTHER)], [[], []]);
  }
});

test("a policy that cannot be read any more stays in force as it was, and is gone when removed", () => {
  const { state, push, missing } = feed();
  push({ "shop/p": encodeAuthorization(allow) });
  push({ "shop/p": GARBAGE });
  assert.deepEqual([[...state.policies()], missing()], [[allow], []]);
  push({}, ["shop/p"]);
  assert.deepEqual([[...state.policies()], missing()], [[], []]);
});

test("garbage for one policy keeps no other of the same push from being in force", () => {
  const { state, push } = feed();
  const complaints = push({ "shop/bad": GARBAGE, "shop/p": encodeAuthorization(allow) });
  assert.equal(complaints.length, 1);
  assert.deepEqual([...state.policies()], [allow]);
});
