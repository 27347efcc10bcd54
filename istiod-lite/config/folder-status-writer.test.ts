/** What is written back to the objects of a folder. */
import assert from "node:assert/strict";
import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROUTE_CONTROLLER } from "#common/kubernetes/route-objects.ts";
import { REDIRECTION_ANNOTATION } from "#istiod-lite/config/source.ts";
import {
  accepted,
  annotationsOf,
  pod,
  podRef,
  policy,
  policyRef,
  SourceFixture,
  shop,
} from "#istiod-lite/config/source-fixture.ts";

test("a pod's annotation comes back in the change stream, and goes again", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(pod("a"));
  const { statusWriter, state } = await fixture.start(t);
  await statusWriter.setPodAnnotations(
    { namespace: "shop", name: "a" },
    { [REDIRECTION_ANNOTATION]: "enabled" },
  );
  assert.deepEqual(annotationsOf(state()), { own: "yes", [REDIRECTION_ANNOTATION]: "enabled" });
  assert.deepEqual(fixture.overlay("Pod", "shop", "a"), {
    metadata: { uid: "u1", annotations: { [REDIRECTION_ANNOTATION]: "enabled" } },
  });
  await statusWriter.setPodAnnotations(
    { namespace: "shop", name: "a" },
    { [REDIRECTION_ANNOTATION]: undefined },
  );
  assert.deepEqual(annotationsOf(state()), { own: "yes" });
  await statusWriter.setPodAnnotations({ namespace: "shop", name: "a" }, { own: undefined });
  assert.deepEqual(annotationsOf(state()), {}, "also one that the object has itself");
});

test("conditions replace those of their type and keep their transition time", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(policy("p"));
  const { statusWriter, state } = await fixture.start(t);
  const conditions = () =>
    JSON.parse(JSON.stringify(state().get("AuthorizationPolicy/shop/p"))).status;
  await statusWriter.setConditions(policyRef, [accepted], 3);
  fixture.nowMs += 60_000;
  await statusWriter.setConditions(policyRef, [{ ...accepted, message: "still" }], 4);
  const first = { ...accepted, message: "still", observedGeneration: 4 };
  const lastTransitionTime = "2026-01-01T00:00:00.000Z";
  assert.deepEqual(conditions(), { conditions: [{ ...first, lastTransitionTime }] });
  await statusWriter.setConditions(policyRef, [{ ...accepted, status: "False" }], undefined);
  assert.equal(conditions().conditions[0].lastTransitionTime, "2026-01-01T00:01:00.000Z");
  await statusWriter.setConditions(policyRef, [{ type: "Other", status: "Unknown" }], undefined);
  assert.equal(conditions().conditions.length, 2);
});

test("conditions of obsolete types go, others stay", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(policy("p"));
  const { statusWriter, state } = await fixture.start(t);
  await statusWriter.setConditions(policyRef, [accepted, { type: "Other", status: "True" }], 1);
  const next = { type: "Next", status: "False" } as const;
  await statusWriter.setConditions(policyRef, [next], 2, [accepted.type]);
  const found = state().get("AuthorizationPolicy/shop/p");
  assert.ok(found?.kind === "AuthorizationPolicy");
  assert.deepEqual(
    found.status?.conditions?.map(({ type }) => type),
    ["Other", "Next"],
  );
});

test("conditions of the object itself stay beside ours", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(pod("a"));
  const { statusWriter, state } = await fixture.start(t);
  await statusWriter.setConditions(podRef, [{ type: "Captured", status: "True" }], undefined);
  const found = state().get("Pod/shop/a");
  assert.ok(found?.kind === "Pod");
  assert.deepEqual(
    found.status?.conditions?.map(({ type }) => type),
    ["Ready", "Captured"],
  );
  assert.equal(found.status?.phase, "Running");
});

test("addresses of a ServiceEntry stand beside its conditions, and all are replaced", async (t) => {
  const fixture = new SourceFixture(t);
  const entry = {
    apiVersion: "networking.istio.io/v1",
    kind: "ServiceEntry",
    metadata: { name: "e", namespace: "shop" },
    spec: { hosts: ["a.b"] },
  } as const;
  fixture.publish(entry);
  const { statusWriter, state, batches } = await fixture.start(t);
  const reference = { kind: "ServiceEntry", namespace: "shop", name: "e" } as const;
  const address = (value: string) => [{ value, host: "a.b" }];
  await statusWriter.setAddresses(reference, address("240.240.0.1"));
  await statusWriter.setConditions(reference, [accepted], 1);
  await statusWriter.setAddresses(reference, address("240.240.0.2"));
  const status = () => JSON.parse(JSON.stringify(state().get("ServiceEntry/shop/e"))).status;
  assert.deepEqual(status().addresses, address("240.240.0.2"));
  assert.equal(status().conditions.length, 1);
  const before = batches.length;
  await statusWriter.setAddresses(reference, address("240.240.0.2"));
  assert.equal(batches.length, before);
  await statusWriter.setAddresses(reference, []);
  assert.deepEqual(status().addresses, []);
});

test("entries of other controllers stay as they are beside our own", async (t) => {
  const fixture = new SourceFixture(t);
  const theirs = {
    parentRef: { name: "ingress" },
    controllerName: "example.com/gateway",
    conditions: [{ type: "Accepted", status: "True" as const, observedGeneration: 7 }],
  };
  const route = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "r", namespace: "shop" },
    spec: {},
    status: { parents: [theirs] },
  } as const;
  fixture.publish(route);
  const { statusWriter, state } = await fixture.start(t);
  const reference = { kind: "HTTPRoute", namespace: "shop", name: "r" } as const;
  const entry = { parentRef: { name: "web" }, controllerName: ROUTE_CONTROLLER };
  const write = (parents: readonly object[]) =>
    statusWriter.setStatusFields(reference, { parents }, 2);
  const parents = () => JSON.parse(JSON.stringify(state().get("HTTPRoute/shop/r"))).status.parents;
  await write([{ ...entry, conditions: [accepted] }]);
  assert.deepEqual(parents()[0], theirs);
  const [{ observedGeneration, lastTransitionTime }] = parents()[1].conditions;
  assert.equal(observedGeneration, 2);
  fixture.nowMs += 1_000;
  await write([{ ...entry, conditions: [{ ...accepted, message: "again" }] }]);
  assert.equal(parents()[1].conditions[0].lastTransitionTime, lastTransitionTime);
  await write([]);
  assert.deepEqual(parents(), [theirs]);
});

test("what changes nothing writes nothing and delivers nothing", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(pod("a"));
  const { statusWriter, batches } = await fixture.start(t);
  const setAll = async () => {
    await statusWriter.setPodAnnotations({ namespace: "shop", name: "a" }, { x: "1" });
    await statusWriter.setPodAnnotations({ namespace: "shop", name: "a" }, { absent: undefined });
    await statusWriter.setConditions(podRef, [accepted], 1);
  };
  await setAll();
  const file = fixture.overlayFile("Pod", "shop", "a");
  const [before, delivered] = [statSync(file).ino, batches.length];
  fixture.nowMs += 1_000;
  await setAll();
  assert.deepEqual([statSync(file).ino, batches.length], [before, delivered]);
});

test("nothing is written about objects that do not exist", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(shop);
  const { statusWriter } = await fixture.start(t);
  await statusWriter.setPodAnnotations({ namespace: "shop", name: "../../x" }, { x: "1" });
  await statusWriter.setConditions(policyRef, [accepted], 1);
  await statusWriter.recordEvent(podRef, { type: "Normal", reason: "R", message: "m" });
  assert.equal(existsSync(join(fixture.state, "overlay")), false);
});

test("Events are counted when they repeat, and bounded in number and length", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(pod("a"));
  const { statusWriter, batches } = await fixture.start(t);
  const event = { type: "Warning", reason: "CaptureFailed", message: "m" } as const;
  await statusWriter.recordEvent(podRef, event);
  fixture.nowMs += 5_000;
  await statusWriter.recordEvent(podRef, event);
  assert.deepEqual(fixture.overlay("Pod", "shop", "a").events, [
    {
      ...event,
      count: 2,
      firstTimestamp: "2026-01-01T00:00:00.000Z",
      lastTimestamp: "2026-01-01T00:00:05.000Z",
    },
  ]);
  for (let i = 0; i < 30; i++) {
    await statusWriter.recordEvent(podRef, { ...event, message: `${i} ${"x".repeat(5_000)}` });
  }
  const { events } = fixture.overlay("Pod", "shop", "a");
  assert.equal(events.length, 20);
  assert.match(events.at(-1).message, /^29 x+$/);
  assert.equal(events.at(-1).message.length, 1_024);
  assert.equal(batches.length, 1, "Events are no change of the object");
});

test("a write that fails says so, and nothing has changed", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(pod("a"));
  const { statusWriter, batches } = await fixture.start(t);
  writeFileSync(join(fixture.state, "overlay"), "a file in the place of the folder");
  await assert.rejects(
    statusWriter.setPodAnnotations({ namespace: "shop", name: "a" }, { x: "1" }),
    {
      name: "MeshError",
      code: "OVERLAY_WRITE_FAILED",
    },
  );
  assert.equal(batches.length, 1);
  rmSync(join(fixture.state, "overlay"));
  await statusWriter.setPodAnnotations({ namespace: "shop", name: "a" }, { x: "1" });
  assert.equal(batches.length, 2);
});

test("many writes at once all arrive", async (t) => {
  const fixture = new SourceFixture(t);
  const names = Array.from({ length: 100 }, (_, i) => `p${i}`);
  for (const name of names) fixture.publish(pod(name));
  const { statusWriter, state } = await fixture.start(t);
  await Promise.all(
    names.flatMap((name) =>
      ["x", "y"].map((key) =>
        statusWriter.setPodAnnotations({ namespace: "shop", name }, { [key]: name }),
      ),
    ),
  );
  for (const name of names) {
    assert.deepEqual(annotationsOf(state(), `Pod/shop/${name}`), { own: "yes", x: name, y: name });
  }
});
