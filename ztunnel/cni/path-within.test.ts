import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { pathWithin } from "./path-within.ts";
import { SandboxRecords } from "./sandbox-records.ts";

function nodeRoot(t: { after(end: () => void): void }): string {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "node-root-"));
  t.after(() => fs.rmSync(root, { recursive: true }));
  fs.mkdirSync(path.join(root, "run/netns"), { recursive: true });
  fs.mkdirSync(path.join(root, "var"));
  fs.symlinkSync("/run", path.join(root, "var/run"));
  fs.writeFileSync(path.join(root, "run/netns/cni-1"), "a network");
  return root;
}

test("an absolute link of the node leads to the node's files, not to this process's", (t) => {
  const root = nodeRoot(t);
  const file = pathWithin(root, "/var/run/netns/cni-1");
  assert.equal(fs.readFileSync(file, "utf8"), "a network");
  assert.equal(pathWithin("", "/var/run/netns/cni-1"), "/var/run/netns/cni-1");
});

test("relative links, links to links and paths that are not there are followed alike", (t) => {
  const root = nodeRoot(t);
  fs.symlinkSync("../var/run", path.join(root, "var/again"));
  assert.equal(pathWithin(root, "/var/again/netns/cni-1"), `${root}/run/netns/cni-1`);
  assert.equal(pathWithin(root, "/var/run/gone/x"), `${root}/run/gone/x`);
});

test("no link leads out of the root, or round and round", (t) => {
  const root = nodeRoot(t);
  fs.symlinkSync("../../../../etc", path.join(root, "out"));
  fs.symlinkSync("/circle", path.join(root, "circle"));
  assert.equal(pathWithin(root, "/out/passwd"), `${root}/etc/passwd`);
  assert.equal(pathWithin(root, "/circle"), `${root}/circle`);
});

test("a sandbox that was told of is found on the node, also by the next ztunnel", (t) => {
  const root = nodeRoot(t);
  const directory = path.join(root, "sandboxes");
  const netnsPath = "/var/run/netns/cni-1";
  const record = { uid: "u-1", namespace: "shop", name: "web", containerId: "c", netnsPath };
  new SandboxRecords(directory, root).put(record);
  const next = new SandboxRecords(directory, root);
  assert.equal(fs.readFileSync(next.netnsPath("u-1") ?? "", "utf8"), "a network");
});
