/** The change stream of a folder, with its overlays. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createLogger } from "#common/telemetry/logger.ts";
import { createSource } from "#istiod-lite/config/create-source.ts";
import { REDIRECTION_ANNOTATION } from "#istiod-lite/config/source.ts";
import {
  annotationsOf,
  pod,
  policy,
  SourceFixture,
  shop,
} from "#istiod-lite/config/source-fixture.ts";

test("start delivers everything, later changes come one by one", async (t) => {
  const fixture = new SourceFixture(t);
  for (const object of [pod("a"), shop, policy("p")]) fixture.publish(object);
  const { batches, until } = await fixture.start(t);
  assert.deepEqual(
    batches.map((changes) => changes.map(({ key }) => key)),
    [["Namespace//shop", "AuthorizationPolicy/shop/p", "Pod/shop/a"]],
  );
  fixture.publish(pod("a", "u1", "new"));
  await until((state) => JSON.stringify(state.get("Pod/shop/a")).includes("new"));
  fixture.remove("Pod", "shop", "a");
  await until((state) => !state.has("Pod/shop/a"));
  assert.equal(batches.length, 3);
  assert.deepEqual(fixture.lines, []);
});

test("an empty folder is waited for as a missing one is; emptied later, it deletes nothing", async (t) => {
  const fixture = new SourceFixture(t);
  const starting = fixture.start(t);
  await fixture.untilSaid(/no objects yet/);
  assert.equal(await Promise.race([starting, sleep(100, "waiting")]), "waiting");
  fixture.publish(shop);
  const { batches } = await starting;
  const delivered = [["Namespace//shop"]];
  const keys = () => batches.map((changes) => changes.map(({ key }) => key));
  assert.deepEqual(keys(), delivered);
  fixture.remove("Namespace", "_", "shop");
  await fixture.untilSaid(/has lost objects/);
  assert.deepEqual(keys(), delivered);
});

test("a missing folder is waited for, one that vanishes deletes nothing", async (t) => {
  const fixture = new SourceFixture(t);
  const objects = join(fixture.state, "objects");
  rmSync(objects, { recursive: true });
  const starting = fixture.start(t);
  await fixture.untilSaid(/does not exist \(create it\)/);
  const waiting = await Promise.race([starting, sleep(100, "waiting")]);
  assert.equal(waiting, "waiting");
  fixture.publish(shop);
  const { batches, until } = await starting;
  await until((state) => state.has("Namespace//shop"));
  const before = batches.length;
  renameSync(objects, join(fixture.state, "away"));
  await fixture.untilSaid(/its last content stays in force/);
  renameSync(join(fixture.state, "away"), objects);
  fixture.publish(policy("p"));
  await until((state) => state.has("AuthorizationPolicy/shop/p"));
  assert.equal(batches.length, before + 1);
});

test("a broken file keeps its object, and the log says what is wrong once", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(policy("p"));
  fixture.publish(shop);
  const { until } = await fixture.start(t);
  const file = fixture.path("AuthorizationPolicy", "shop", "p");
  writeFileSync(file, JSON.stringify({ ...policy("p"), spec: { ruels: [] } }));
  fixture.publish({ ...shop, metadata: { name: "other" } });
  const state = await until((now) => now.has("Namespace//other"));
  await fixture.untilSaid(/stays in force/);
  assert.deepEqual(state.get("AuthorizationPolicy/shop/p"), policy("p"));
  assert.equal(fixture.lines.filter((line) => line.includes("spec.ruels")).length, 1);
  assert.equal(fixture.lines.filter((line) => line.includes("stays in force")).length, 1);
});

test("the object changes under its overlay, and the overlay stays", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(pod("a"));
  const { statusWriter, until } = await fixture.start(t);
  await statusWriter.setPodAnnotations({ namespace: "shop", name: "a" }, { x: "1" });
  fixture.publish(pod("a", "u1", "new"));
  const state = await until((now) => JSON.stringify(now.get("Pod/shop/a")).includes("new"));
  assert.deepEqual(annotationsOf(state), { own: "yes", x: "1" });
});

test("a pod of the same name that came later has no part in the old pod's overlay", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(pod("a"));
  const { statusWriter, until } = await fixture.start(t);
  await statusWriter.setPodAnnotations(
    { namespace: "shop", name: "a" },
    { [REDIRECTION_ANNOTATION]: "enabled" },
  );
  fixture.publish(pod("a", "u2"));
  const state = await until((now) => now.get("Pod/shop/a")?.metadata.uid === "u2");
  assert.deepEqual(annotationsOf(state), { own: "yes" });
  await statusWriter.setPodAnnotations({ namespace: "shop", name: "a" }, { x: "1" });
  assert.deepEqual(fixture.overlay("Pod", "shop", "a"), {
    metadata: { uid: "u2", annotations: { x: "1" } },
  });
});

test("the overlay of an object that is gone is removed, at the start too", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(pod("a"));
  fixture.publish(shop);
  const orphan = fixture.overlayFile("Pod", "shop", "b");
  mkdirSync(dirname(orphan), { recursive: true });
  writeFileSync(orphan, JSON.stringify({ metadata: { annotations: { x: "1" } } }));
  const { statusWriter, until, source } = await fixture.start(t);
  await statusWriter.setPodAnnotations({ namespace: "shop", name: "a" }, { x: "1" });
  fixture.remove("Pod", "shop", "a");
  await until((state) => !state.has("Pod/shop/a"));
  await source.close();
  assert.deepEqual(readdirSync(dirname(orphan)), []);
});

test("overlays survive a restart; broken ones are replaced by the next write", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(pod("a"));
  fixture.publish(pod("b"));
  fixture.publish({ apiVersion: "v1", kind: "Node", metadata: { name: "n" } });
  const first = await fixture.start(t);
  await first.statusWriter.setPodAnnotations({ namespace: "shop", name: "a" }, { x: "1" });
  const node = { kind: "Node", namespace: "", name: "n" } as const;
  await first.statusWriter.setConditions(node, [{ type: "Mesh", status: "True" }], undefined);
  await first.source.close();
  assert.ok(existsSync(fixture.overlayFile("Node", "_", "n")));
  writeFileSync(fixture.overlayFile("Pod", "shop", "b"), "{");
  writeFileSync(join(fixture.state, "overlay/Pod/shop/.a.json.tmp"), "{");
  const second = await fixture.start(t);
  assert.deepEqual(annotationsOf(second.state()), { own: "yes", x: "1" });
  assert.match(JSON.stringify(second.state().get("Node//n")), /"type":"Mesh"/);
  await second.statusWriter.setPodAnnotations({ namespace: "shop", name: "b" }, { x: "2" });
  assert.deepEqual(annotationsOf(second.state(), "Pod/shop/b"), { own: "yes", x: "2" });
});

test("a source is started once, and silent after close", async (t) => {
  const fixture = new SourceFixture(t);
  fixture.publish(shop);
  const { source, batches } = await fixture.start(t);
  await assert.rejects(
    source.start(() => undefined),
    { code: "SOURCE_STARTED" },
  );
  await source.close();
  fixture.publish(policy("p"));
  await sleep(100);
  assert.equal(batches.length, 1);
});

test("anything but folder:PATH is refused with what is supported", () => {
  const logger = createLogger({ level: "error", format: "text", write: () => undefined });
  for (const spec of ["", "folder:", "folder", "kubernetes", "/etc"]) {
    assert.throws(() => createSource(spec, { logger }), {
      code: "SOURCE_INVALID",
      hint: "write --source folder:PATH",
    });
  }
});
