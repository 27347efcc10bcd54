import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { loadFolder } from "#common/kubernetes/load-folder.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { OwnedObjectsController } from "../controllers/owned-objects.ts";
import { makeService } from "../registry/registry-fixtures.ts";
import { FolderOwnedObjects } from "./folder-owned-objects.ts";

const OWNER = "Gateway/shop/waypoint";
const logger = createLogger({ level: "error", format: "text", write: () => undefined });
const service = (name: string) => makeService(name, { ports: [{ port: 80 }] });

let dir: string;
let folder: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "owned-"));
  folder = join(dir, "owned");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const names = async () => {
  const { objects, problems } = await loadFolder(folder);
  assert.deepEqual(
    problems.filter(({ severity }) => severity === "error" && objects.length > 0),
    [],
  );
  return objects.map(({ object }) => object.metadata.name).sort();
};

test("the objects of an owner can be loaded, are replaced as a whole, and go with it", async () => {
  const writer = new FolderOwnedObjects(folder);
  await writer.apply(OWNER, [service("a"), service("b")]);
  assert.deepEqual(await names(), ["a", "b"]);
  await writer.apply(OWNER, [service("b"), service("c")]);
  assert.deepEqual(await names(), ["b", "c"]);
  const file = join(folder, "Gateway/shop/waypoint.json");
  const { ino } = await stat(file);
  await writer.apply(OWNER, [service("b"), service("c")]);
  assert.equal((await stat(file)).ino, ino);
  await writer.apply(OWNER, []);
  assert.deepEqual(await readdir(join(folder, "Gateway/shop")), []);
});

test("what an earlier process left of owners that are gone is taken away at the start", async () => {
  const writer = new FolderOwnedObjects(folder);
  await writer.apply("Gateway/shop/old", [service("old")]);
  await writer.apply(OWNER, [service("a")]);
  let whole = false;
  const controller = new OwnedObjectsController({ writer, logger, isWhole: () => whole });
  controller.apply([{ owner: OWNER, objects: [service("b")] }]);
  await controller.idle();
  // Its owner may be one of the objects that the source has lost.
  assert.deepEqual(await names(), ["b", "old"]);
  whole = true;
  controller.apply([]);
  await controller.idle();
  assert.deepEqual(await names(), ["b"]);
  controller.apply([{ owner: OWNER, objects: [] }]);
  await controller.idle();
  assert.deepEqual(await names(), []);
  await controller.close();
});

test("what cannot be written is tried again, the newest of each owner", async () => {
  await writeFile(folder, "in the way");
  const writer = new FolderOwnedObjects(folder);
  const controller = new OwnedObjectsController({ writer, logger, isWhole: () => true });
  controller.apply([{ owner: OWNER, objects: [service("a")] }]);
  controller.apply([{ owner: OWNER, objects: [service("b")] }]);
  await rm(folder);
  await controller.idle();
  assert.deepEqual(await names(), ["b"]);
  await controller.close();
});
