/** Holds the project to its house rules: size, names, comments, and nothing left lying about. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { uncommentedLimits, unrunTests } from "./house/code-rules.ts";
import { parseTexts } from "./house/made-up-files.ts";
import { compareWithRatchet, lowerRatchet, readRatchet } from "./house/ratchet.ts";
import { measureSizes, type Sizes } from "./house/sizes.ts";
import { functionSpans, withParsedFiles } from "./house/syntax.ts";
import { applyTextRule, packageRules, strayTests, TEXT_RULES } from "./house/text-rules.ts";
import { isGenerated, listFiles, ROOT, readText } from "./house/tree.ts";

function assertNone(violations: readonly string[]): void {
  if (violations.length > 0) assert.fail(`\n${violations.join("\n")}\n`);
}

describe("the project", () => {
  const paths = listFiles();
  const files = paths.map((path) => ({ path, text: readText(path) }));
  const { sizes, unrun, limits } = withParsedFiles(ROOT, (all) => {
    const parsed = all.filter(({ path }) => !isGenerated(path));
    return {
      sizes: measureSizes(paths, parsed),
      unrun: parsed.flatMap(unrunTests),
      limits: parsed.flatMap(uncommentedLimits),
    };
  });

  for (const [title, rule] of Object.entries(TEXT_RULES)) {
    test(title, () => assertNone(applyTextRule(rule, files)));
  }
  test("files, functions and lines keep to their size", () => {
    assertNone(compareWithRatchet(sizes, readRatchet()));
  });
  test("every test runs", () => assertNone([...unrun, ...strayTests(paths)]));
  test("every limit says what happens at it", () => assertNone(limits));
  test("an installation is the same everywhere", () => {
    assertNone(packageRules(readText("package.json"), readText("package-lock.json")));
  });
});

describe("a text rule finds", () => {
  const found: [title: string, path: string, text: string][] = [
    ["every source file says on top what it is for", "common/a.ts", "export const a = 1;\n"],
    ["nothing is left for later", "common/a.ts", `// ${"TO"}${"DO"}: finish\n`],
    [
      "no file names a path of one machine or a package registry",
      "README.md",
      `see ${"/wo"}${"rk"}/main\n`,
    ],
    [
      "no file names a path of one machine or a package registry",
      ".npmrc",
      `registry=https://${"registry"}.example.org/\n`,
    ],
    ["file names are kebab-case", "common/someFile.ts", "// A file.\n"],
    ["file names are kebab-case", "docs/Some_Page.md", "# Page\n"],
    [
      "what silences a tool gives its reason",
      "common/a.ts",
      `// ${"biome"}-ignore lint/style/noEnum: no\n`,
    ],
    ["documents stay short", "CONTRIBUTING.md", "line\n".repeat(121)],
  ];
  for (const [title, path, text] of found) {
    test(`what "${title}" forbids, in ${path}`, () => {
      const rule = TEXT_RULES[title];
      assert.ok(rule);
      assert.equal(applyTextRule(rule, [{ path, text }]).length, 1);
    });
  }
});

test("a test that does not run is found however it is written", () => {
  const written = [
    'test.skip("a", () => {});',
    'describe.only("a", () => {});',
    'test("a", { skip: !root }, () => {});',
    'test("a", (t) => { t.todo("later"); });',
    'test("a", { timeout: 5 }, () => { list.skip(1); });',
  ];
  const found = parseTexts({ "a.test.ts": written.join("\n") }, (all) => all.flatMap(unrunTests));
  assert.deepEqual(
    found.map((line) => line.slice(0, 11)),
    ["a.test.ts:1", "a.test.ts:2", "a.test.ts:3", "a.test.ts:4"],
  );
});

test("a function is as long as its lines, and what describe is given is none", () => {
  const text = [
    'describe("a", () => {',
    '  test("b c", () => {',
    "    go();",
    "  });",
    "});",
    "class Pool {",
    "  connect() {",
    "  }",
    "}",
  ].join("\n");
  const spans = parseTexts({ "a.ts": text }, ([file]) => functionSpans(file?.source as never));
  assert.deepEqual(spans, [
    { name: '"a" > "b c"', firstLine: 2, lines: 3 },
    { name: "Pool > connect", firstLine: 7, lines: 2 },
  ]);
});

test("a lock file without one platform's package is found before npm ci refuses it", () => {
  const optionalDependencies = { "tool-linux": "1.0.0", "tool-darwin": "1.0.0" };
  const packages = {
    "node_modules/tool": { optionalDependencies },
    "node_modules/tool-linux": {},
  };
  const violations = packageRules("{}", JSON.stringify({ packages }));
  assert.equal(violations.length, 1);
  assert.match(violations[0] ?? "", /lacks tool-darwin/);
});

test("a limit without a comment is found; those without a gap share one", () => {
  const text = [
    "/** Refused beyond it. */",
    "export const ONE = 1;",
    "export const TWO = 2;",
    "",
    "export const THREE = 3; // beside it is not above it",
    "",
    "/** All of them. */",
    "export const LIMITS = {",
    "  /** Refused beyond it. */",
    "  four: 4,",
    "",
    "  five: 5,",
    "} as const;",
  ].join("\n");
  const found = parseTexts({ "ztunnel/limits.ts": text }, (all) => all.flatMap(uncommentedLimits));
  assert.deepEqual(
    found.map((line) => line.split(" ")[0]),
    ["ztunnel/limits.ts:5", "ztunnel/limits.ts:12"],
  );
});

describe("the ratchet", () => {
  const none: Sizes = { fileLines: {}, functionLines: {}, wideLines: {} };
  const sized = (lines: number): Sizes => ({ ...none, fileLines: { "a.ts": lines } });

  test("lets what is on it stay as it is", () => {
    assertNone(compareWithRatchet(sized(400), sized(400)));
  });
  test("refuses what is new and what grew", () => {
    assert.match(compareWithRatchet(sized(301), none)[0] ?? "", /301 lines, 300 are allowed/);
    assert.match(compareWithRatchet(sized(401), sized(400))[0] ?? "", /400 are allowed/);
  });
  test("asks to write down what shrank", () => {
    assert.match(compareWithRatchet(sized(350), sized(400))[0] ?? "", /npm run ratchet/);
    assert.match(compareWithRatchet(none, sized(400))[0] ?? "", /npm run ratchet/);
  });
  test("is lowered and never raised", () => {
    assert.deepEqual(lowerRatchet(sized(350), sized(400)), sized(350));
    assert.deepEqual(lowerRatchet(none, sized(400)), none);
    assert.deepEqual(lowerRatchet(sized(500), sized(400)), sized(400));
    assert.deepEqual(lowerRatchet(sized(500), none), none);
  });
});
