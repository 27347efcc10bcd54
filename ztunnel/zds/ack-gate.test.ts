import assert from "node:assert/strict";
import { test } from "node:test";
import type { PodReport } from "#common/model/captured-pod.ts";
import { AckGate } from "./ack-gate.ts";

const ENABLED: PodReport = { uid: "u", name: "web", namespace: "s", state: "enabled", message: "" };

function gate() {
  const sent: string[] = [];
  const send = (reports: readonly PodReport[]) => {
    for (const { state, message } of reports) sent.push(`${state} ${message}`.trim());
  };
  return { gate: new AckGate(send), sent };
}

test("a pod is enabled once its rules are in place and ztunnel has acknowledged it, in any order", () => {
  const first = gate();
  first.gate.report([ENABLED]);
  first.gate.answered("u", "");
  assert.deepEqual(first.sent, [
    "pending captured; ztunnel has not acknowledged it yet",
    "enabled",
  ]);
  const second = gate();
  second.gate.answered("u", "");
  second.gate.report([ENABLED]);
  assert.deepEqual(second.sent, ["enabled"]);
});

test("a pod that ztunnel refuses is pending, with ztunnel's words", () => {
  const { gate: one, sent } = gate();
  one.report([ENABLED]);
  one.answered("u", "no room");
  one.answered("u", "");
  assert.deepEqual(sent.slice(1), ["pending captured; no room", "enabled"]);
});

test("a pod that was acknowledged stays enabled while ztunnel is away", () => {
  const { gate: one, sent } = gate();
  one.answered("u", "");
  one.report([ENABLED]);
  one.answered("u", "the ztunnel is no longer connected");
  one.report([ENABLED]);
  assert.deepEqual(sent, ["enabled", "enabled"]);
});

test("what was acknowledged in a namespace that is gone does not count for the next one", () => {
  const { gate: one, sent } = gate();
  one.answered("u", "");
  one.removed("u");
  one.report([ENABLED]);
  assert.match(sent.join(), /^pending/);
});

test("whatever is not enabled is passed on as it is", () => {
  const { gate: one, sent } = gate();
  one.answered("u", "");
  one.report([{ ...ENABLED, state: "pending", message: "no sandbox" }]);
  one.report([{ ...ENABLED, state: "disabled" }]);
  assert.deepEqual(sent, ["pending no sandbox", "disabled"]);
});
