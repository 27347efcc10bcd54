import assert from "node:assert/strict";
import { it } from "node:test";
import { SUCCESSION_MS } from "./limits.ts";
import { Succession } from "./succession.ts";

it("leaves a pod to a later ztunnel as long as that is there, and not for ever", () => {
  let now = 1_000;
  const succession = new Succession(() => now);
  assert.equal(succession.yields(false), false);
  assert.equal(succession.yields(true), true);
  now += SUCCESSION_MS - 1;
  assert.equal(succession.yields(true), true);
  now += 1;
  assert.equal(succession.yields(true), false, "it never replaced this one");
  assert.equal(succession.yields(false), false, "it has gone");
  assert.equal(succession.yields(true), true, "another one has come");
});
