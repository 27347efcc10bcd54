import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import type { Pod } from "#common/kubernetes/objects.ts";
import { Publisher } from "#meshctl/local/objects/publisher.ts";
import { listEvents } from "./object-views.ts";

const dir = mkdtempSync(join(tmpdir(), "object-views-"));
after(() => rmSync(dir, { recursive: true }));

const pod = (namespace: string, name: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace, uid: `uid-${name}` },
  spec: { containers: [] },
});

/** Writes, as istiod-lite does, an Event about the pod of this uid. */
function record(place: string, uid: string, reason: string, minute: number): void {
  const file = join(dir, "overlay/Pod", `${place}.json`);
  const time = `2026-01-01T00:0${minute}:00Z`;
  const times = { firstTimestamp: time, lastTimestamp: time };
  const events = [{ type: "Warning", reason, message: "m", count: 1, ...times }];
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify({ metadata: { uid }, events }));
}

test("events are those of the objects that are there, by time, of one namespace or of all", async () => {
  const publisher = new Publisher(join(dir, "objects"), join(dir, "overlay"));
  await publisher.publish([pod("shop", "a"), pod("shop", "reborn"), pod("bank", "b")]);
  record("shop/a", "uid-a", "Later", 2);
  record("bank/b", "uid-b", "Earlier", 1);
  record("shop/reborn", "uid-of-its-predecessor", "NotMine", 3);
  const seen = async (namespace?: string) =>
    (await listEvents(publisher, namespace)).map((e) => `${e.reason} ${e.namespace}/${e.name}`);
  assert.deepEqual(await seen(), ["Earlier bank/b", "Later shop/a"]);
  assert.deepEqual(await seen("shop"), ["Later shop/a"]);
});
