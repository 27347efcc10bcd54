import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { ConfigMap, Pod } from "#common/kubernetes/objects.ts";
import type { Volume } from "#common/kubernetes/volume-objects.ts";
import { tokenRefreshMs, writeVolumes } from "./volumes.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "volumes-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const pod = (...volumes: readonly Volume[]): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p" },
  spec: { containers: [], volumes },
});
const configMap = (name: string, data: ConfigMap["data"]): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  ...(data && { data }),
});

const contents = (...maps: readonly ConfigMap[]) => ({
  configMap: (name: string) => maps.find(({ metadata }) => metadata.name === name),
  token: async (audience: string, seconds: number) => `${audience} for ${seconds}`,
  field: (path: string) => (path === "metadata.name" ? "p" : undefined),
});

const files = async (volume: string) => {
  const at = join(dir, "volumes", volume);
  const names = (await readdir(at, { recursive: true, withFileTypes: true })).filter((each) =>
    each.isFile(),
  );
  const read = names.map(async ({ parentPath, name }) => {
    const path = join(parentPath, name);
    return [path.slice(at.length + 1), await readFile(path, "utf8")] as const;
  });
  return Object.fromEntries(await Promise.all(read));
};

test("a projected volume holds a token, keys under their own paths, and the pod's facts", async () => {
  const sources = [
    { serviceAccountToken: { audience: "istio-ca", expirationSeconds: 600, path: "token" } },
    { configMap: { name: "c", items: [{ key: "k", path: "d/other" }] } },
    { downwardAPI: { items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] } },
  ];
  const one = pod({ name: "v", projected: { sources } });
  assert.deepEqual(await writeVolumes(one, dir, contents(configMap("c", { k: "1", l: "2" }))), []);
  assert.deepEqual(await files("v"), { token: "istio-ca for 600", "d/other": "1", name: "p" });
  assert.equal(tokenRefreshMs(one), 300_000);
});

test("what a ConfigMap says no more is gone from the volume", async () => {
  const one = pod({ name: "v", configMap: { name: "c" } });
  await writeVolumes(one, dir, contents(configMap("c", { a: "1", b: "2" })));
  await writeVolumes(one, dir, contents(configMap("c", { b: "3" })));
  assert.deepEqual(await files("v"), { b: "3" });
  assert.equal(tokenRefreshMs(one), undefined);
});

test("a ConfigMap that is missing is named, unless it may be", async () => {
  const one = pod({ name: "v", projected: { sources: [{ configMap: { name: "c" } }] } });
  assert.deepEqual(await writeVolumes(one, dir, contents()), ["c"]);
  const may = { configMap: { name: "c", optional: true } };
  assert.deepEqual(
    await writeVolumes(pod({ name: "v", projected: { sources: [may] } }), dir, contents()),
    [],
  );
});

test("a path never leaves the volume", async () => {
  const items = [{ path: "../../out", fieldRef: { fieldPath: "metadata.name" } }];
  await writeVolumes(pod({ name: "v", downwardAPI: { items } }), dir, contents());
  assert.deepEqual(await files("v"), { out: "p" });
});
