/** Holds the project to its boundaries: who may import whom, and what a pure core may touch. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { folderCycles, forbiddenImports } from "./house/boundaries.ts";
import { importSideEffects, overlongMain } from "./house/entry-points.ts";
import { type ImportReference, type Module, readModule } from "./house/imports.ts";
import { parseTexts } from "./house/made-up-files.ts";
import { impureGlobals, impureImports } from "./house/purity.ts";
import { withParsedFiles } from "./house/syntax.ts";
import { isGenerated, ROOT } from "./house/tree.ts";

function assertNone(violations: readonly string[]): void {
  if (violations.length > 0) assert.fail(`\n${violations.join("\n")}\n`);
}

function importing(path: string, specifier: string, more: Partial<ImportReference> = {}): Module {
  return { path, imports: [{ specifier, typeOnly: false, names: ["*"], line: 1, ...more }] };
}

describe("the project", () => {
  const { modules, globals, mains, sideEffects } = withParsedFiles(ROOT, (all) => {
    const files = all.filter(({ path }) => !isGenerated(path));
    return {
      modules: files.map(readModule),
      globals: files.flatMap(impureGlobals),
      mains: files.flatMap(overlongMain),
      sideEffects: files.flatMap(importSideEffects),
    };
  });

  test("imports only what its place may import", () => assertNone(forbiddenImports(modules)));
  test("has no folders that import each other", () => assertNone(folderCycles(modules)));
  test("has pure cores that reach no I/O by an import", () => assertNone(impureImports(modules)));
  test("has pure cores that use no clock, timer or chance", () => assertNone(globals));
  test("has short entries", () => assertNone(mains));
  test("does nothing while it is imported", () => assertNone(sideEffects));
});

describe("an import is refused", () => {
  const refused: [from: string, specifier: string][] = [
    ["ztunnel/proxy/a.ts", "#istiod-lite/registry/b.ts"],
    ["meshctl/local/a.ts", "../../ztunnel/proxy/b.ts"],
    ["meshctl/up.ts", "#ztunnel/sys/linux.ts"],
    ["ztunnel/proxy/a.test.ts", "#istiod-lite/registry/b.ts"],
    ["common/tls/a.ts", "#ztunnel/limits.ts"],
    ["ztunnel/app.ts", "#test/support/b.ts"],
    ["istiod-lite/xds/a.ts", "#common/xds/gen/istio/workload_pb.js"],
    ["common/xds/delta-client.ts", "./gen/istio/workload_pb.js"],
    ["meshctl/local/a.ts", "koffi"],
    ["ztunnel/proxy/a.ts", "../capture/b.ts"],
    ["common/authorization/a.ts", "./policy-fixtures.ts"],
    ["common/authorization/a.ts", "fast-check"],
    ["test/support/a.ts", "#ztunnel/main.ts"],
  ];
  for (const [from, specifier] of refused) {
    test(`${specifier} by ${from}`, () => {
      assert.equal(forbiddenImports([importing(from, specifier)]).length, 1);
    });
  }
});

describe("an import is allowed", () => {
  const allowed: [from: string, specifier: string][] = [
    ["meshctl/local/a.ts", "#ztunnel/sys/linux.ts"],
    ["common/xds/decode-workload.ts", "./gen/istio/workload_pb.js"],
    ["common/xds/citadel-rpc.ts", "./gen/istio/citadel_pb.js"],
    ["common/xds/codec.test.ts", "./gen/istio/workload_pb.js"],
    ["ztunnel/sys/libc.ts", "koffi"],
    ["ztunnel/capture/a.ts", "../proxy/b.ts"],
    ["test/namespaced/a.test.ts", "#ztunnel/proxy/b.ts"],
    ["ztunnel/proxy/a.test.ts", "#test/support/b.ts"],
  ];
  for (const [from, specifier] of allowed) {
    test(`${specifier} by ${from}`, () => {
      assertNone(forbiddenImports([importing(from, specifier)]));
    });
  }
});

test("a ring of folders is found once, with the imports that make it", () => {
  const cycles = folderCycles([
    importing("ztunnel/proxy/a.ts", "../state/b.ts"),
    importing("ztunnel/state/b.ts", "#ztunnel/identity/c.ts", { typeOnly: true }),
    importing("ztunnel/identity/c.ts", "../proxy/a.ts"),
    importing("ztunnel/app.ts", "./proxy/a.ts"),
  ]);
  assert.equal(cycles.length, 1);
  assert.match(cycles[0] ?? "", /ztunnel\/state -> ztunnel\/identity \(ztunnel\/state\/b.ts:1\)/);
});

test("a pure core is refused I/O however far down the import is", () => {
  const far = [
    importing("common/model/a.ts", "../runtime/b.ts"),
    importing("common/runtime/b.ts", "node:fs"),
  ];
  assert.match(impureImports(far)[0] ?? "", /a.ts imports common\/runtime\/b.ts imports node:fs/);
  const crypto = (name: string) => [
    importing("common/model/a.ts", "node:crypto", { names: [name] }),
  ];
  assert.equal(impureImports(crypto("randomBytes")).length, 1);
  assertNone(impureImports(crypto("createHash")));
  const net = importing("common/model/ip.ts", "node:net", { names: ["isIP"] });
  assertNone(impureImports([net]));
  assertNone(impureImports([importing("common/model/a.ts", "node:net", { typeOnly: true })]));
});

test("every way to import is seen", () => {
  const text = [
    'import { a, type B } from "./one.ts";',
    'import type { C } from "./two.ts";',
    'export * from "./three.ts";',
    'type D = import("./four.ts").D;',
    'const five = await import("./five.ts");',
    "const six = require(`./six.ts`);",
    'import "./seven.ts";',
    'import { type E } from "./eight.ts";',
  ].join("\n");
  const { imports } = parseTexts({ "a.ts": text }, ([file]) => {
    assert.ok(file);
    return readModule(file);
  });
  assert.deepEqual(
    imports.map(({ specifier, typeOnly }) => [specifier, typeOnly]),
    [
      ["./one.ts", false],
      ["./two.ts", true],
      ["./three.ts", false],
      ["./four.ts", true],
      ["./five.ts", false],
      ["./six.ts", false],
      ["./seven.ts", false],
      ["./eight.ts", true],
    ],
  );
});

test("clocks and dice are seen in a pure core, and nowhere else", () => {
  const text = [
    "const now = Date.now();",
    "const date = new Date();",
    "setTimeout(run, Math.random());",
    "deps.setTimeout(run, deps.Date.now(), new Date(5), { fetch: 1 });",
  ].join("\n");
  const texts = { "common/model/a.ts": text, "common/runtime/a.ts": text };
  const found = parseTexts(texts, (all) => all.flatMap(impureGlobals));
  assert.deepEqual(
    found.map((line) => line.replace(/:\s.*/, "")),
    [
      "common/model/a.ts:1 uses Date.now",
      "common/model/a.ts:2 uses new Date()",
      "common/model/a.ts:3 uses setTimeout",
      "common/model/a.ts:3 uses Math.random",
    ],
  );
});

test("only an entry starts something, and it stays short", () => {
  const texts = {
    "ztunnel/app.ts": "export const a = 1;\nstart();\n",
    "ztunnel/main.ts": "start();\n".repeat(81),
    "ztunnel/proxy/worker.ts": "start();\n",
  };
  const [effects, mains] = parseTexts(texts, (all) => [
    all.flatMap(importSideEffects),
    all.flatMap(overlongMain),
  ]);
  assert.deepEqual(
    effects.map((line) => line.split(" ")[0]),
    ["ztunnel/app.ts:2"],
  );
  assert.match(mains.join(), /^ztunnel\/main.ts has 81 lines/);
});
