/** Reading YAML text: places, several documents, and everything that is refused. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatProblem } from "#common/kubernetes/format-problem.ts";
import { MAX_FILE_BYTES } from "#common/kubernetes/limits.ts";
import { parseYaml } from "#common/kubernetes/parse-yaml.ts";
import type { FieldPath } from "#common/kubernetes/problem.ts";

function values(text: string): unknown[] {
  const parsed = parseYaml(text, "f.yaml");
  assert.deepEqual(parsed.problems.filter(isError), []);
  return parsed.documents.map(({ value }) => value);
}

function problems(text: string): string[] {
  return parseYaml(text, "f.yaml").problems.map(formatProblem);
}

function isError({ severity }: { severity: string }): boolean {
  return severity === "error";
}

function placeOf(text: string, path: FieldPath): string {
  const [document] = parseYaml(text, "f.yaml").documents;
  assert.ok(document);
  const { line, column } = document.problem({ severity: "error", path, message: "" });
  return `${line}:${column}`;
}

describe("YAML documents", () => {
  test("several documents in one file are read in order, empty ones skipped", () => {
    assert.deepEqual(values("a: 1\n---\n# nothing\n---\nb: [x, 2, true, null]\n...\n"), [
      { a: 1 },
      { b: ["x", 2, true, null] },
    ]);
    assert.deepEqual(values(""), []);
  });

  test("the items of a List become documents whose fields say which item they are", () => {
    const text = "kind: List\nitems:\n- kind: A\n- kind: B\n  x: 1\n";
    const { documents } = parseYaml(text, "f.yaml");
    assert.deepEqual(
      documents.map((document) => document.value),
      [{ kind: "A" }, { kind: "B", x: 1 }],
    );
    assert.deepEqual(
      documents.map((document) => document.line()),
      [3, 4],
    );
    const problem = documents[1]?.problem({ severity: "error", path: ["x"], message: "m" });
    assert.equal(problem && formatProblem(problem), "f.yaml:5:6: error: items[1].x: m");
  });

  test("a List in machine-written JSON is expanded too", () => {
    const list = { kind: "List", items: [{ kind: "A" }, { kind: "B" }] };
    assert.deepEqual(values(JSON.stringify(list)), list.items);
  });

  test("numbers as keys are text, as in portLevelMtls", () => {
    assert.deepEqual(values("ports:\n  8080: STRICT\n"), [{ ports: { "8080": "STRICT" } }]);
  });

  test("merge keys fill in what the map itself does not say, the first map first", () => {
    const text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 0}\n";
    assert.deepEqual(values(text), [
      { a: { x: 1, y: 1 }, b: { y: 2, z: 2 }, c: { x: 0, y: 1, z: 2 } },
    ]);
    assert.equal(placeOf(text, ["c", "z"]), "2:17");
  });

  test("an alias stands for the anchor before it", () => {
    assert.deepEqual(values("a: &x [1]\nb: *x\nc: &x [2]\nd: *x\n"), [
      { a: [1], b: [1], c: [2], d: [2] },
    ]);
  });
});

describe("places", () => {
  const text = "spec:\n  rules:\n  - from:\n    - source: {ipBlocks: [a, bb]}\n";

  test("a scalar is found at its value, a block at its key", () => {
    const block: FieldPath = ["spec", "rules", 0, "from", 0, "source", "ipBlocks"];
    assert.equal(placeOf(text, [...block, 1]), "4:30");
    assert.equal(placeOf(text, block), "4:16");
    assert.equal(placeOf(text, ["spec", "rules"]), "2:3");
  });

  test("a field that is missing is placed at what should hold it", () => {
    assert.equal(placeOf(text, ["spec", "rules", 0, "to"]), "3:5");
  });

  test("machine-written JSON has places too", () => {
    const json = JSON.stringify({ a: { b: [1, 22] } }, null, 2);
    assert.equal(placeOf(json, ["a", "b", 1]), "5:7");
  });
});

describe("what is refused", () => {
  test("every duplicate key of a file is reported with its place", () => {
    assert.deepEqual(problems("a: 1\nb: {c: 1, c: 2}\na: 3\n---\nx: 1\nx: 1\n"), [
      "f.yaml:2:11: error: b.c: is given twice (remove one of the two)",
      "f.yaml:3:1: error: a: is given twice (remove one of the two)",
      "f.yaml:6:1: error: x: is given twice (remove one of the two)",
    ]);
  });

  test("a duplicate key in JSON is refused although JSON.parse would take it", () => {
    assert.match(problems('{"a":1,"a":2}').join(), /a: is given twice/);
  });

  test("a broken document does not hide the others, nor its own problems theirs", () => {
    const parsed = parseYaml("a: b: c\n---\nok: 1\n---\nx: {\n", "f.yaml");
    assert.deepEqual(
      parsed.documents.map(({ value }) => value),
      [{ ok: 1 }],
    );
    assert.deepEqual(
      [...new Set(parsed.problems.map(({ line }) => line))].length >= 2,
      true,
      "both broken documents are reported",
    );
  });

  // Expanding them all would take more memory than there is.
  test("aliases that multiply are refused, not expanded", () => {
    const levels = Array.from({ length: 30 }, (_, i) => {
      const items = i === 0 ? "x" : `*a${i - 1}`;
      return `a${i}: &a${i} [${Array(9).fill(items).join(", ")}]`;
    });
    assert.match(problems(levels.join("\n")).join(), /more than \d+ (values|aliases)/);
  });

  test("two to the power of thirty values with few aliases are refused too", () => {
    const levels = Array.from({ length: 31 }, (_, i) =>
      i === 0 ? "a0: &a0 x" : `a${i}: &a${i} [*a${i - 1}, *a${i - 1}]`,
    );
    assert.match(problems(levels.join("\n")).join(), /more than 100000 values/);
  });

  test("an alias inside its own anchor is refused", () => {
    assert.match(problems("a: &a [*a]\n").join(), /\*a names no anchor/);
  });

  test("nesting without end is refused, however it is written", () => {
    for (const text of ["[".repeat(100_000), `a: ${"[".repeat(70)}${"]".repeat(70)}`]) {
      assert.match(problems(text).join(), /nests (too deeply|deeper)/);
    }
    const aliases = Array.from({ length: 90 }, (_, i) =>
      i === 0 ? "a0: &a0 []" : `a${i}: &a${i} [*a${i - 1}]`,
    );
    assert.match(problems(aliases.join("\n")).join(), /nests deeper/);
    assert.match(problems(`${'{"a":'.repeat(70)}1${"}".repeat(70)}`).join(), /nests deeper/);
  });

  test("a file above the size limit is refused unread", () => {
    assert.deepEqual(problems(`a: ${"x".repeat(MAX_FILE_BYTES)}`), [
      "f.yaml:1:1: error: the file is larger than 1048576 bytes (split it into several files)",
    ]);
  });

  test("a map of very many keys is read", () => {
    const text = Array.from({ length: 40_000 }, (_, i) => `k${i}: v`).join("\n");
    assert.equal(values(text).length, 1);
  });

  test("unknown tags and keys that are collections are refused", () => {
    assert.match(problems("a: !secret x\n").join(), /!secret/);
    assert.match(problems("? [a]\n: 1\n").join(), /neither text nor a number/);
  });

  test("the key __proto__ is refused in YAML and in JSON", () => {
    assert.match(problems("__proto__: {polluted: true}\n").join(), /__proto__/);
    assert.match(problems('{"__proto__":{"polluted":true}}').join(), /__proto__/);
    assert.equal(Object.hasOwn(Object.prototype, "polluted"), false);
  });

  test("an unquoted yes is text with a warning, since a cluster reads a boolean", () => {
    assert.deepEqual(values("a: yes\n"), [{ a: "yes" }]);
    assert.match(problems("a: yes\n").join(), /^f.yaml:1:4: warning: a: unquoted yes/);
    assert.deepEqual(problems('a: "yes"\n'), []);
  });
});
