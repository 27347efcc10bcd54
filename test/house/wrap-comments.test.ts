/** Wrapping must never change what a comment says, only where its lines end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wrapComments } from "./wrap-comments.ts";

const WIDE = `${"word ".repeat(22)}end`;

function words(text: string): string[] {
  return text.split(/[\s*/]+/).filter((word) => word !== "");
}

function assertWrapped(text: string, expectedLines: number): void {
  const wrapped = wrapComments(text);
  const lines = wrapped.split("\n");
  assert.ok(lines.every((line) => line.length <= 100));
  assert.equal(lines.length, expectedLines, wrapped);
  assert.deepEqual(words(wrapped), words(text));
  assert.equal(wrapComments(wrapped), wrapped);
}

test("a wide line flows into the next one of its paragraph", () => {
  assertWrapped(`/**\n * ${WIDE}\n * and more.\n */`, 4);
  assertWrapped(`// ${WIDE}\n// and more.\ncode();`, 3);
});

test("a wide line does not flow into a tag, a list or code", () => {
  assertWrapped(`/**\n * ${WIDE}\n * @default 1\n */`, 5);
  assertWrapped(`// ${WIDE}\ncode();`, 3);
  assertWrapped(`/**\n * ${WIDE}\n *\n * Other.\n */`, 6);
});

test("a comment on one line becomes one of several", () => {
  assertWrapped(`  /** ${WIDE} */`, 4);
  assertWrapped(`/** ${WIDE}\n * more */`, 2);
  assertWrapped(`/**\n * ${WIDE} */`, 4);
});

test("an item of a list hangs", () => {
  assert.match(wrapComments(`// - ${WIDE}\n// - other`), /\n\/\/ {3}\S.*\n\/\/ - other$/);
});

test("what fits, what has no space and what is no comment stays as it is", () => {
  for (const text of ["// short", `// ${"a".repeat(120)}`, `call("${WIDE}");`]) {
    assert.equal(wrapComments(text), text);
  }
});
