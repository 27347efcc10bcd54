import assert from "node:assert/strict";
import { test } from "node:test";
import { addVariable } from "./env-option.ts";

test("each assignment adds a variable, and its value may be empty or hold anything", () => {
  const one = addVariable("XDS_ADDRESS=", {});
  assert.deepEqual(addVariable("RUST_LOG=info,xds=debug", one), {
    XDS_ADDRESS: "",
    RUST_LOG: "info,xds=debug",
  });
});

test("what is no assignment, and a name given twice, is refused", () => {
  for (const text of ["", "NAME", "=value", "9A=1", "A B=1"]) {
    assert.throws(() => addVariable(text, {}), /NAME=VALUE/, text);
  }
  assert.throws(() => addVariable("A=2", { A: "1" }), /A is given twice/);
});
