import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeltaDiscoveryRequest } from "#common/xds/discovery-rpc.ts";
import { ADDRESS_TYPE } from "#common/xds/type-urls.ts";
import { RESOURCES_PER_RESPONSE } from "../limits.ts";
import { ResourceCache } from "./resource-cache.ts";
import { Subscription } from "./subscription.ts";

const T = ADDRESS_TYPE;

function ask(fields: Partial<DeltaDiscoveryRequest> = {}): DeltaDiscoveryRequest {
  return {
    typeUrl: T,
    subscribe: [],
    unsubscribe: [],
    initialResourceVersions: new Map(),
    responseNonce: "",
    ...fields,
  };
}

function resource(name: string, content = name, aliases: string[] = []) {
  return { name, aliases, value: new TextEncoder().encode(content), node: undefined };
}

function open(cache: ResourceCache, first = ask(), visible = () => true) {
  const subscription = new Subscription(cache, T, visible);
  cache.onChange((_type, names) => subscription.changed(names));
  subscription.request(first);
  const take = (nonce: string) => {
    const response = subscription.take(nonce);
    return (
      response && [
        response.resources.map(({ name }) => name),
        [...response.removedResources].sort(),
      ]
    );
  };
  const ack = (nonce: string, more: Partial<DeltaDiscoveryRequest> = {}) =>
    subscription.request(ask({ responseNonce: nonce, ...more }));
  return { subscription, take, ack };
}

test("the first answer comes even when there is nothing, then silence", () => {
  const { take, ack } = open(new ResourceCache());
  assert.deepEqual(take("1"), [[], []]);
  ack("1");
  assert.equal(take("2"), undefined);
});

test("a change is sent once, and the same content again is no change", () => {
  const cache = new ResourceCache();
  const { take, ack } = open(cache);
  take("1");
  ack("1");
  cache.update(T, [resource("a")], []);
  assert.deepEqual(take("2"), [["a"], []]);
  ack("2");
  cache.update(T, [resource("a")], []);
  assert.equal(take("3"), undefined);
});

test("what changes while a response is under way is coalesced into the next", () => {
  const cache = new ResourceCache();
  const { take, ack } = open(cache);
  take("1");
  for (let i = 0; i < 50; i++) cache.update(T, [resource("a", `v${i}`)], []);
  cache.update(T, [resource("gone")], []);
  cache.update(T, [], ["gone"]);
  assert.equal(take("2"), undefined);
  ack("1");
  assert.deepEqual(take("2"), [["a"], []]);
});

test("a reconnect is told only what differs, and what went away meanwhile", () => {
  const cache = new ResourceCache();
  cache.update(T, [resource("same"), resource("changed", "new"), resource("added")], []);
  const versions = new Map([
    ["same", cache.get(T, "same")?.version ?? ""],
    ["changed", "old"],
    ["gone", "1"],
  ]);
  const { take } = open(cache, ask({ initialResourceVersions: versions }));
  assert.deepEqual(take("1"), [["changed", "added"], ["gone"]]);
});

test("a rejected response is reported and not sent again", () => {
  const cache = new ResourceCache();
  cache.update(T, [resource("bad")], []);
  const { take, ack } = open(cache);
  take("1");
  const outcome = ack("1", { errorDetail: { code: 3, message: "unsupported" } });
  assert.equal(outcome.rejected, "unsupported");
  assert.equal(take("2"), undefined);
});

test("an old nonce answers nothing", () => {
  const cache = new ResourceCache();
  const { take, ack } = open(cache);
  take("1");
  ack("0");
  cache.update(T, [resource("a")], []);
  assert.equal(take("2"), undefined);
});

test("on demand: nothing but what is asked for, by name or alias, absent names as removed", () => {
  const cache = new ResourceCache();
  cache.update(T, [resource("uid-1", "x", ["net/10.0.0.1"]), resource("uid-2")], []);
  const { take, ack } = open(cache, ask({ subscribe: ["*"], unsubscribe: ["*"] }));
  assert.deepEqual(take("1"), [[], []]);
  ack("1", { subscribe: ["net/10.0.0.1", "net/10.0.0.9"] });
  assert.deepEqual(take("2"), [["uid-1"], ["net/10.0.0.9"]]);
  ack("2");
  cache.update(T, [resource("uid-2", "changed")], []);
  assert.equal(take("3"), undefined);
  cache.update(T, [resource("uid-9", "y", ["net/10.0.0.9"])], ["uid-1"]);
  assert.deepEqual(take("3"), [["uid-9"], ["uid-1"]]);
});

test("a full sync comes in bounded pieces", () => {
  const cache = new ResourceCache();
  const names = Array.from({ length: RESOURCES_PER_RESPONSE + 5 }, (_, i) => resource(`r${i}`));
  cache.update(T, names, []);
  const { take, ack } = open(cache);
  assert.equal(take("1")?.[0]?.length, RESOURCES_PER_RESPONSE);
  ack("1");
  assert.equal(take("2")?.[0]?.length, 5);
});

test("what a node may not see is never sent, and removed when it no longer may", () => {
  const cache = new ResourceCache();
  cache.update(
    T,
    [
      { ...resource("mine"), node: "n1" },
      { ...resource("theirs"), node: "n2" },
    ],
    [],
  );
  const subscription = new Subscription(cache, T, ({ node }) => node === "n1");
  cache.onChange((_type, changed) => subscription.changed(changed));
  subscription.request(ask());
  assert.deepEqual(
    subscription.take("1")?.resources.map(({ name }) => name),
    ["mine"],
  );
  subscription.request(ask({ responseNonce: "1" }));
  cache.update(T, [{ ...resource("mine", "moved"), node: "n2" }], []);
  assert.deepEqual(subscription.take("2")?.removedResources, ["mine"]);
});
