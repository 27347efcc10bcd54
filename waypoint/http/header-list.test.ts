import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderList } from "./header-list.ts";

test("the first value answers, all values combine, and a name that is absent is undefined", () => {
  const headers = new HeaderList(["a", "1", "b", "2", "a", "3"]);
  assert.equal(headers.get("a"), "1");
  assert.deepEqual(headers.getAll("a"), ["1", "3"]);
  assert.equal(headers.combined("a"), "1,3");
  assert.equal(headers.combined("c"), undefined);
  assert.equal(headers.has("c"), false);
  assert.equal(headers.size, 3);
});

test("setting replaces every value in the place of the first", () => {
  const headers = new HeaderList(["a", "1", "b", "2", "a", "3"]);
  headers.set("a", "9");
  assert.deepEqual(headers.flat, ["a", "9", "b", "2"]);
  headers.set("c", "4");
  assert.deepEqual(headers.flat, ["a", "9", "b", "2", "c", "4"]);
});

test("deleting takes every value, and a clone is not touched", () => {
  const headers = new HeaderList(["a", "1", "b", "2", "a", "3"]);
  const copy = headers.clone();
  headers.delete("a");
  assert.deepEqual([...headers.entries()], [["b", "2"]]);
  assert.equal(copy.size, 3);
});
