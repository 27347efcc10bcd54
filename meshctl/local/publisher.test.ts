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
import { merge } from "#meshctl/local/object-views.ts";
import { Publisher } from "#meshctl/local/publisher.ts";

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
  const writeOverlay = () => {
    mkdirSync(dirname(overlayFile), { recursive: true });
    writeFileSync(overlayFile, JSON.stringify({ metadata: { annotations: { mesh: "on" } } }));
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
    writeOverlay();
    await publisher.publish([{ ...pod("a", "1"), spec: { containers: [], nodeName: "n" } }]);
    assert.deepEqual(await publisher.overlay(pod("a", "1")), {
      metadata: { annotations: { mesh: "on" } },
    });
    await publisher.publish([pod("a", "2")]);
    assert.equal(await publisher.overlay(pod("a", "2")), undefined);
    writeOverlay();
    await publisher.publish([]);
    assert.equal(existsSync(overlayFile), false);
  });
});

test("what istiod-lite says is shown with the object: its annotations and conditions win", () => {
  const ready = { type: "Ready", status: "True" } as const;
  const object = {
    ...pod("a", "1"),
    metadata: { ...pod("a", "1").metadata, annotations: { own: "1", mesh: "old" } },
    status: { phase: "Running", conditions: [ready, { type: "X", status: "False" }] },
  } as const satisfies Pod;
  const merged = merge<Pod>(object, {
    metadata: { annotations: { mesh: "new" } },
    status: { conditions: [{ type: "X", status: "True" }] },
  });
  assert.deepEqual(merged.metadata.annotations, { own: "1", mesh: "new" });
  assert.deepEqual(merged.status, {
    phase: "Running",
    conditions: [ready, { type: "X", status: "True" }],
  });
});
