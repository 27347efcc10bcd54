/** What counts as deleted, and what as lost. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  formatInventory,
  INVENTORY_FILE,
  parseInventory,
  takeInventory,
} from "#common/kubernetes/inventory.ts";
import { pod, policy, SourceFixture, shop } from "#istiod-lite/config/source-fixture.ts";
import { findLoss } from "#istiod-lite/config/source-loss.ts";

const PODS = ["Pod/shop/a", "Pod/shop/b", "Pod/shop/c", "Pod/shop/d"];
const ALL = ["Namespace//shop", "AuthorizationPolicy/shop/p", ...PODS];

function countKinds(keys: readonly string[]) {
  return takeInventory(keys.map((key) => ({ kind: key.slice(0, key.indexOf("/")) as "Pod" })));
}

function judge(present: readonly string[], inventory?: Record<string, number>, broken = 0) {
  const loss = findLoss({
    missing: ALL.filter((key) => !present.includes(key)),
    present: countKinds(present),
    inventory: inventory && new Map(Object.entries(inventory)),
    hadInventory: inventory !== undefined,
    brokenFiles: broken,
  });
  return loss && [...loss.held];
}

describe("without an inventory", () => {
  test("a source that is empty has lost everything", () => {
    assert.deepEqual(judge([]), ALL);
  });

  test("many objects of a kind are lost together, few are deleted", () => {
    assert.deepEqual(judge(["Namespace//shop", "AuthorizationPolicy/shop/p"]), PODS);
    assert.equal(judge(["Namespace//shop", ...PODS]), undefined);
    assert.equal(judge(["Namespace//shop", "AuthorizationPolicy/shop/p", "Pod/shop/d"]), undefined);
  });
});

describe("with an inventory", () => {
  const inventory = { Namespace: 1, AuthorizationPolicy: 1, Pod: 4 };

  test("every object that it still counts is lost, be it one", () => {
    assert.deepEqual(judge(ALL.slice(0, 5), inventory), ["Pod/shop/d"]);
    assert.deepEqual(judge(["Namespace//shop", ...PODS], inventory), [
      "AuthorizationPolicy/shop/p",
    ]);
  });

  test("objects that it does not count any more are deleted, be it all", () => {
    assert.equal(judge(["Namespace//shop"], { Namespace: 1 }), undefined);
    assert.equal(judge([], {}), undefined);
  });

  test("a file that cannot be read may be the one that is missed", () => {
    assert.equal(judge(ALL.slice(0, 5), inventory, 1), undefined);
  });

  test("nothing is deleted once the inventory itself is gone", () => {
    const present = countKinds(ALL.slice(0, 5));
    const missing = ALL.slice(5);
    const content = { missing, present, inventory: undefined, brokenFiles: 0 };
    const loss = findLoss({ ...content, hadInventory: true });
    assert.deepEqual([...(loss?.held ?? [])], ["Pod/shop/d"]);
    assert.equal(findLoss({ ...content, hadInventory: false }), undefined);
  });

  test("what is no inventory is none", () => {
    const written = formatInventory(
      new Map([
        ["Pod", 2],
        ["Node", 0],
      ]),
    );
    assert.deepEqual(parseInventory(written), new Map([["Pod", 2]]));
    for (const text of ["", "{", "[]", "null", '{"Pod":-1}', '{"Pod":"1"}']) {
      assert.equal(parseInventory(text), undefined, text);
    }
  });
});

describe("a folder", () => {
  test("that is emptied stays in force, says so once, and is whole again when files return", async (t) => {
    const fixture = new SourceFixture(t);
    for (const object of [shop, pod("a"), policy("p")]) fixture.publish(object);
    const { source, state, until } = await fixture.start(t);
    for (const folder of ["Namespace", "Pod", "AuthorizationPolicy"]) {
      rmSync(join(fixture.state, "objects", folder), { recursive: true });
    }
    await until(() => source.loss !== undefined);
    assert.equal(source.loss?.held.size, 3);
    assert.equal(state().size, 3);
    const said = fixture.lines.filter((line) => line.includes("has lost objects"));
    assert.equal(said.length, 1);
    assert.match(said[0] ?? "", /it is empty: 3 objects .* stay in force.*put the files back/);
    fixture.publish(pod("a", "u1", "new"));
    await until((now) => JSON.stringify(now.get("Pod/shop/a")).includes("new"));
  });

  test("with an inventory deletes what the inventory lets go, and nothing else", async (t) => {
    const fixture = new SourceFixture(t);
    const inventory = (pods: number) =>
      writeFileSync(
        join(fixture.state, "objects", INVENTORY_FILE),
        formatInventory(
          new Map([
            ["Namespace", 1],
            ["Pod", pods],
          ]),
        ),
      );
    for (const object of [shop, pod("a"), pod("b")]) fixture.publish(object);
    inventory(2);
    const { source, until } = await fixture.start(t);
    fixture.remove("Pod", "shop", "a");
    await until(() => source.loss !== undefined);
    assert.deepEqual([...(source.loss?.held ?? [])], ["Pod/shop/a"]);
    inventory(1);
    const state = await until((now) => !now.has("Pod/shop/a"));
    assert.ok(state.has("Pod/shop/b"));
    assert.equal(source.loss, undefined);
    assert.match(fixture.lines.join(), /whole again/);
  });

  test("that lacks what its inventory counts is no beginning", async (t) => {
    const fixture = new SourceFixture(t);
    fixture.publish(shop);
    const file = join(fixture.state, "objects", INVENTORY_FILE);
    writeFileSync(
      file,
      formatInventory(
        new Map([
          ["Namespace", 1],
          ["Pod", 1],
        ]),
      ),
    );
    const starting = fixture.start(t);
    await fixture.untilSaid(/it has 0 of the 1 of kind Pod/);
    fixture.publish(pod("a"));
    const { batches } = await starting;
    assert.deepEqual(
      batches.map((changes) => changes.map(({ key }) => key)),
      [["Namespace//shop", "Pod/shop/a"]],
    );
  });
});
