import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, PodSpec } from "#common/kubernetes/objects.ts";
import { chooseNode, type SchedulableNode } from "./scheduler.ts";

const node = (name: string, podCount: number): SchedulableNode => ({
  name,
  podCount,
  labels: { "kubernetes.io/hostname": name, disk: name === "b" ? "fast" : "slow" },
});
const pod = (spec: Partial<PodSpec>): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p" },
  spec: { containers: [], ...spec },
});
const chosen = (spec: Partial<PodSpec>, nodes: readonly SchedulableNode[]) => {
  const choice = chooseNode(pod(spec), nodes);
  return typeof choice === "string" ? choice : choice.name;
};

test("pods go to the node with the fewest, and to the first by name among equals", () => {
  assert.equal(chosen({}, [node("b", 0), node("a", 0)]), "a");
  assert.equal(chosen({}, [node("b", 0), node("a", 1)]), "b");
});

test("nodeName and nodeSelector are obeyed, however full the node is", () => {
  const nodes = [node("a", 0), node("b", 9)];
  assert.equal(chosen({ nodeName: "b" }, nodes), "b");
  assert.equal(chosen({ nodeSelector: { "kubernetes.io/hostname": "b" } }, nodes), "b");
  assert.equal(chosen({ nodeSelector: { disk: "fast" } }, nodes), "b");
});

test("a pod that fits nowhere is told why", () => {
  const nodes = [node("a", 0)];
  assert.equal(chosen({ nodeName: "z" }, nodes), "there is no node z: there are a");
  const selector = { disk: "fast", x: "y" };
  assert.match(chosen({ nodeSelector: selector }, nodes), /no node has the labels disk=fast, x=y/);
});
