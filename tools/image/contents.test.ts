import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { renderKustomization } from "#meshctl/install/kustomization.ts";
import { productionPackages } from "./app-files.ts";
import { MANIFESTS, PROGRAMS, SOURCES, shipsModuleFile, shipsSource, WORKERS } from "./contents.ts";

const ROOT = join(import.meta.dirname, "../..");
const SCRIPT = join(import.meta.dirname, "ambient-mesh.sh");

describe("what the image holds", () => {
  it("names programs, threads and folders that are there", () => {
    for (const path of [...Object.values(PROGRAMS), ...WORKERS, ...SOURCES]) {
      assert.ok(existsSync(join(ROOT, path)), path);
    }
  });

  it("takes sources and leaves tests and fixtures", () => {
    assert.ok(shipsSource("ztunnel/main.ts"));
    assert.ok(shipsSource("common/xds/gen/istio/workload_pb.js"));
    assert.ok(!shipsSource("ztunnel/config.test.ts"));
    assert.ok(!shipsSource("ztunnel/dns/dns-fixtures.ts"));
    assert.ok(!shipsSource("common/kubernetes/testdata/full-objects.yaml"));
  });

  it("has all that the manifests of an installation name", async (t) => {
    const copy = mkdtempSync(join(tmpdir(), "image-manifests-"));
    t.after(() => rmSync(copy, { recursive: true }));
    for (const folder of MANIFESTS) {
      cpSync(join(ROOT, folder), join(copy, folder), { recursive: true, filter: shipsSource });
    }
    const overlays = join(copy, "manifests/overlays");
    const profiles = readdirSync(overlays).map((name) => join(overlays, name));
    const whole = ["base", "crds", "waypoint-class"].map((name) => join(copy, "manifests", name));
    for (const folder of [...whole, ...profiles]) {
      assert.ok((await renderKustomization(folder)).length > 0, folder);
    }
  });

  it("takes of npm packages what Node loads", () => {
    assert.ok(shipsModuleFile("dist/doc/Document.js"));
    assert.ok(shipsModuleFile("LICENSE"));
    assert.ok(shipsModuleFile("linux_x64/koffi.node"));
    assert.ok(!shipsModuleFile("musl_x64/koffi.node"));
    assert.ok(!shipsModuleFile("dist/index.d.ts"));
    assert.ok(!shipsModuleFile("docs/api/Client.md"));
  });

  it("has the packages that run, of one architecture, and no tools", () => {
    const packages = productionPackages(ROOT, "arm64");
    assert.ok(packages.includes("node_modules/koffi"));
    assert.ok(packages.includes("node_modules/@koromix/koffi-linux-arm64"));
    assert.ok(packages.includes("node_modules/protobufjs"));
    const others = /koffi-(?!linux-arm64)|typescript|biome|@types|node-linux|fast-check/;
    assert.deepEqual(
      packages.filter((path) => others.test(path)),
      [],
    );
  });
});

describe("the image's entrypoint", () => {
  const dir = mkdtempSync(join(tmpdir(), "entrypoint-"));
  writeFileSync(join(dir, "node"), '#!/bin/sh\necho "$@"\n');
  chmodSync(join(dir, "node"), 0o755);
  after(() => rmSync(dir, { recursive: true }));

  const env = { PATH: `${dir}:/usr/bin:/bin`, AMBIENT_MESH_HOME: "/app" };
  const run = (...args: string[]) =>
    execFileSync("sh", [SCRIPT, ...args], { env, encoding: "utf8" }).trim();

  it("starts each program by its name, with the arguments that follow", () => {
    for (const [name, main] of Object.entries(PROGRAMS)) {
      assert.equal(run(name, "--flag", "a b"), `/app/${main} --flag a b`);
    }
  });

  it("understands what Istio's pods say", () => {
    assert.equal(run("proxy", "ztunnel"), "/app/ztunnel/main.ts");
    assert.equal(run("proxy", "waypoint", "--domain", "x"), "/app/waypoint/main.ts --domain x");
  });

  it("says what it knows for anything else", () => {
    for (const args of [[], ["sh"], ["../ztunnel"], ["proxy"]]) {
      const { status, stderr } = spawnSync("sh", [SCRIPT, ...args], { env, encoding: "utf8" });
      assert.equal(status, 64);
      for (const name of Object.keys(PROGRAMS)) assert.match(stderr, new RegExp(`\\b${name}\\b`));
    }
  });

  it("is what its own text lists", () => {
    const text = readFileSync(SCRIPT, "utf8");
    assert.deepEqual(
      Object.keys(PROGRAMS).filter((name) => !text.includes(name)),
      [],
    );
  });
});
