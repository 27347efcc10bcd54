import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeltaDiscoveryRequest } from "#common/xds/discovery-rpc.ts";
import { ADDRESS_TYPE } from "#common/xds/type-urls.ts";
import { RESPONSE_BYTES, SUBSCRIPTIONS_PER_STREAM } from "../limits.ts";
import { ResourceTable } from "../registry/resource-table.ts";
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

/** A table with one subscription to it, driven the way a stream does it. */
function open(first = ask(), table = new ResourceTable(), scope = "n1") {
  table.takeChanges();
  const subscription = new Subscription(table, T, scope);
  subscription.request(first);
  const publish = (name: string, content = name, aliases: string[] = [], on?: string) => {
    const value = new TextEncoder().encode(content);
    table.set({ typeUrl: T, name, aliases, value, ...(on !== undefined && { scope: on }) });
    flush();
  };
  const withdraw = (name: string) => {
    table.delete(T, name);
    flush();
  };
  const flush = () => {
    const { changed, removed } = table.takeChanges();
    for (const resource of [...changed, ...removed]) subscription.changed(resource);
  };
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
  return { subscription, table, publish, withdraw, take, ack };
}

function tableOf(...names: readonly (string | [string, string[], string?])[]): ResourceTable {
  const table = new ResourceTable();
  for (const each of names) {
    const [name, aliases, scope] = typeof each === "string" ? [each, []] : each;
    const value = new TextEncoder().encode(name);
    table.set({ typeUrl: T, name, aliases, value, ...(scope !== undefined && { scope }) });
  }
  return table;
}

test("the first answer comes even when there is nothing, then silence", () => {
  const { take, ack } = open();
  assert.deepEqual(take("1"), [[], []]);
  ack("1");
  assert.equal(take("2"), undefined);
});

test("a change is sent once, and the same content again is no change", () => {
  const { publish, take, ack } = open();
  take("1");
  ack("1");
  publish("a");
  assert.deepEqual(take("2"), [["a"], []]);
  ack("2");
  publish("a");
  assert.equal(take("3"), undefined);
});

test("what changes while a response is under way is coalesced into the next", () => {
  const { subscription, publish, withdraw, take, ack } = open();
  take("1");
  for (let i = 0; i < 50; i++) publish("a", `v${i}`);
  publish("gone");
  withdraw("gone");
  assert.equal(take("2"), undefined);
  assert.equal(subscription.state.pending, 2);
  ack("1");
  assert.deepEqual(take("2"), [["a"], ["gone"]]);
});

test("a removal names the resource", () => {
  const { withdraw, take, ack } = open(ask(), tableOf("a"));
  take("1");
  ack("1");
  withdraw("a");
  assert.deepEqual(take("2"), [[], ["a"]]);
});

test("a reconnect is told only what differs, and what went away meanwhile", () => {
  const table = tableOf("same", "changed", "added");
  const initialResourceVersions = new Map([
    ["same", table.get(T, "same")?.version ?? ""],
    ["changed", "old"],
    ["gone", "1"],
  ]);
  const { take } = open(ask({ initialResourceVersions }), table);
  assert.deepEqual(take("1"), [["changed", "added"], ["gone"]]);
});

test("a reconnect to an unchanged mesh is answered with nothing", () => {
  const table = tableOf("a", "b");
  const initialResourceVersions = new Map(
    ["a", "b"].map((name) => [name, table.get(T, name)?.version ?? ""]),
  );
  const { take } = open(ask({ initialResourceVersions }), table);
  assert.deepEqual(take("1"), [[], []]);
});

test("a rejected response is reported and not sent again", () => {
  const { take, ack } = open(ask(), tableOf("bad"));
  take("1");
  const outcome = ack("1", { errorDetail: { code: 3, message: "unsupported" } });
  assert.equal(outcome.rejected, "unsupported");
  assert.equal(take("2"), undefined);
});

test("an old nonce answers nothing", () => {
  const { publish, take, ack } = open();
  take("1");
  ack("0");
  publish("a");
  assert.equal(take("2"), undefined);
});

test("on demand: nothing but what is asked for, by name or alias, absent names as removed", () => {
  const { publish, withdraw, take, ack } = open(
    ask({ subscribe: ["*"], unsubscribe: ["*"] }),
    tableOf(["uid-1", ["net/10.0.0.1"]], "uid-2"),
  );
  assert.deepEqual(take("1"), [[], []]);
  ack("1", { subscribe: ["net/10.0.0.1", "net/10.0.0.9"] });
  assert.deepEqual(take("2"), [["uid-1"], ["net/10.0.0.9"]]);
  ack("2");
  publish("uid-2", "changed");
  assert.equal(take("3"), undefined);
  publish("uid-9", "y", ["net/10.0.0.9"]);
  withdraw("uid-1");
  assert.deepEqual(take("3"), [["uid-9"], ["uid-1"]]);
});

test("on demand: a resource found by alias is followed under its name until unsubscribed", () => {
  const { publish, take, ack } = open(
    ask({ subscribe: ["net/10.0.0.1"] }),
    tableOf(["uid-1", ["net/10.0.0.1"]]),
  );
  take("1");
  ack("1");
  publish("uid-1", "moved", ["net/10.0.0.2"]);
  assert.deepEqual(take("2"), [["uid-1"], []]);
  ack("2");
  publish("uid-1", "back", ["net/10.0.0.1"]);
  take("3");
  ack("3", { unsubscribe: ["net/10.0.0.1"] });
  publish("uid-1", "again", ["net/10.0.0.1"]);
  assert.equal(take("4"), undefined);
});

test("on demand: a reconnect follows what the client holds", () => {
  const table = tableOf("a", "b");
  const initialResourceVersions = new Map([
    ["a", table.get(T, "a")?.version ?? ""],
    ["gone", "1"],
  ]);
  const first = ask({ subscribe: ["*"], unsubscribe: ["*"], initialResourceVersions });
  const { publish, take, ack } = open(first, table);
  assert.deepEqual(take("1"), [[], ["gone"]]);
  ack("1");
  publish("a", "new");
  publish("b", "new");
  assert.deepEqual(take("2"), [["a"], []]);
});

test("a name asked for again is sent again", () => {
  const { take, ack } = open(ask({ subscribe: ["a"] }), tableOf("a"));
  take("1");
  ack("1", { subscribe: ["a"] });
  assert.deepEqual(take("2"), [["a"], []]);
});

test("the first answer is whole, later ones are bounded and go on when acknowledged", () => {
  const { publish, take, ack } = open();
  const half = "x".repeat(RESPONSE_BYTES / 2);
  for (const name of ["a", "b", "c"]) publish(name, name + half);
  assert.deepEqual(take("1"), [["a", "b", "c"], []]);
  for (const name of ["a", "b", "c"]) publish(name, `${name}2${half}`);
  ack("1");
  assert.deepEqual(take("2"), [["a", "b"], []]);
  assert.equal(take("3"), undefined);
  ack("2");
  assert.deepEqual(take("3"), [["c"], []]);
});

test("what a node may not see is never sent, and removed when it no longer may", () => {
  const { publish, take, ack } = open(ask(), tableOf(["mine", [], "n1"], ["theirs", [], "n2"]));
  assert.deepEqual(take("1"), [["mine"], []]);
  ack("1");
  publish("theirs", "changed", [], "n2");
  assert.equal(take("2"), undefined);
  publish("mine", "moved", [], "n2");
  assert.deepEqual(take("2"), [[], ["mine"]]);
});

test("streams that want everything share one list, until something changes", () => {
  const table = tableOf("a", "b");
  const [one, two] = [open(ask(), table), open(ask(), table)];
  const first = one.subscription.take("1");
  assert.equal(first?.resources, two.subscription.take("1")?.resources);
  one.publish("c");
  const three = open(ask(), table);
  assert.deepEqual(three.take("1"), [["a", "b", "c"], []]);
  const filtered = open(ask(), tableOf("a", ["b", [], "n2"]));
  assert.equal(filtered.subscription.ready, 1);
  assert.equal(filtered.subscription.take("1")?.shared, undefined);
});

test("what changes before the first answer is in it, and what goes is named as removed", () => {
  const { publish, withdraw, take, ack, subscription } = open(ask(), tableOf("a", "b"));
  assert.equal(subscription.state.pending, 2);
  publish("a", "A");
  publish("c");
  withdraw("b");
  assert.deepEqual(take("1"), [["a", "c"], ["b"]]);
  ack("1");
  assert.equal(take("2"), undefined);
});

test("names asked for beside everything are answered once", () => {
  const { take, ack, subscription } = open(ask({ subscribe: ["*", "a", "x"] }), tableOf("a", "b"));
  assert.deepEqual([...(take("1")?.[0] ?? [])].sort(), ["a", "b"]);
  ack("1", { unsubscribe: ["*"] });
  ack("1", { subscribe: ["*"] });
  assert.equal(subscription.ready, 3, "everything again, and the name that is not there");
});

test("too many names are noticed", () => {
  const names = Array.from({ length: SUBSCRIPTIONS_PER_STREAM + 1 }, (_, i) => `r${i}`);
  const { subscription } = open(ask({ subscribe: names.slice(1) }));
  assert.equal(subscription.overLimit, false);
  subscription.request(ask({ subscribe: names }));
  assert.equal(subscription.overLimit, true);
});
