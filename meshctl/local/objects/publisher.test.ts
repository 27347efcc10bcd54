import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import type { Pod } from "#common/kubernetes/objects.ts";
import { listObjects } from "#meshctl/local/control/object-views.ts";
import { Publisher } from "./publisher.ts";

const dir = mkdtempSync(join(tmpdir(), "publisher-"));
after(() => rmSync(dir, { recursive: true }));

const pod = (name: string, uid: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "shop", uid },
  spec: { containers: [] },
});

describe("publishing", () => {
  const objects = join(dir, "objects");
  const overlay = join(dir, "overlay");
  const publisher = new Publisher(objects, overlay);
  const overlayFile = join(overlay, "Pod/shop/a.json");
  const writeOverlay = (uid: string) => {
    mkdirSync(dirname(overlayFile), { recursive: true });
    writeFileSync(overlayFile, JSON.stringify({ metadata: { uid, annotations: { mesh: "on" } } }));
  };

  test("makes the folder hold exactly the objects, one file each", async () => {
    const node = { apiVersion: "v1", kind: "Node", metadata: { name: "n" } } as const;
    await publisher.publish([pod("a", "1"), pod("b", "1"), node]);
    assert.deepEqual(readdirSync(join(objects, "Pod/shop")).sort(), ["a.json", "b.json"]);
    assert.deepEqual(readdirSync(join(objects, "Node/_")), ["n.json"]);
    assert.deepEqual(
      JSON.parse(readFileSync(join(objects, "Pod/shop/a.json"), "utf8")),
      pod("a", "1"),
    );
    await publisher.publish([pod("a", "1")]);
    assert.deepEqual(readdirSync(join(objects, "Pod/shop")), ["a.json"]);
  });

  test("keeps what was said about an object while it lives, and not beyond", async () => {
    writeOverlay("1");
    await publisher.publish([{ ...pod("a", "1"), spec: { containers: [], nodeName: "n" } }]);
    assert.deepEqual(await publisher.overlay(pod("a", "1")), {
      metadata: { uid: "1", annotations: { mesh: "on" } },
    });
    await publisher.publish([pod("a", "2")]);
    assert.equal(existsSync(overlayFile), false);
    writeOverlay("2");
    await publisher.publish([]);
    assert.equal(existsSync(overlayFile), false);
  });

  test("keeps an inventory, so that files which vanish are known to be lost", async () => {
    const inventory = () => JSON.parse(readFileSync(join(objects, ".inventory.json"), "utf8"));
    const node = { apiVersion: "v1", kind: "Node", metadata: { name: "n" } } as const;
    await publisher.publish([node, pod("a", "1"), pod("b", "1")]);
    assert.deepEqual(inventory(), { Node: 1, Pod: 2 });
    await publisher.publish([node, pod("a", "2")]);
    assert.deepEqual(inventory(), { Node: 1, Pod: 1 });
    await publisher.publish([]);
    assert.deepEqual(inventory(), {});
  });

  test("tells that a pod ends only after it has told of its successor", async () => {
    const old = pod("a", "3");
    await publisher.publish([old]);
    const ending = { ...old, metadata: { ...old.metadata, deletionTimestamp: "2026-01-01" } };
    const inTheWay = join(objects, "Pod/shop/b.json/full");
    mkdirSync(inTheWay, { recursive: true });
    await assert.rejects(publisher.publish([ending, pod("b", "3")]));
    const written = () => JSON.parse(readFileSync(join(objects, "Pod/shop/a.json"), "utf8"));
    assert.deepEqual(written(), old);
    rmSync(dirname(inTheWay), { recursive: true });
    await publisher.publish([ending, pod("b", "3")]);
    assert.deepEqual(written(), ending);
  });

  test("takes what is said late about an object for no word on its successor", async () => {
    await publisher.publish([pod("a", "2")]);
    writeOverlay("1");
    assert.equal(await publisher.overlay(pod("a", "2")), undefined);
    assert.deepEqual(await listObjects(publisher, undefined, "Pod", "shop"), [pod("a", "2")]);
  });

  test("takes what is no overlay for none", async () => {
    for (const text of ["", "{", "[]", '{"metadata":{"uid":"2","annotations":{"mesh":1}}}']) {
      writeFileSync(overlayFile, text);
      assert.equal(await publisher.overlay(pod("a", "2")), undefined, text);
    }
  });

  test("shows what istiod-lite says with the object", async () => {
    writeOverlay("2");
    const [shown] = await listObjects(publisher, undefined, "Pod", undefined);
    assert.deepEqual(shown?.metadata.annotations, { mesh: "on" });
  });
});
