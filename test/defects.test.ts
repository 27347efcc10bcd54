/** docs/defects.md tells the truth: each test that it names is there, each number has one. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { listFiles, readText } from "./house/tree.ts";

const REFERENCE = /`([^`]+\.test\.ts)` "([^"]+)"/g;
/** Of the adversarial checklist: what concerns L4. */
const CHECKLIST = [...Array.from({ length: 49 }, (_, i) => i + 1), 61, 65, 66, 67, 68]
  .concat([73, 74, 75, 76, 77, 78])
  .map((number) => `D4.${number}`);

interface Row {
  readonly number: string;
  readonly here: string;
}

/** The rows of all tables, without their heads. */
function readRows(): readonly Row[] {
  return readText("docs/defects.md")
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| number |"))
    .map((line) => line.split(" | "))
    .map((cells) => ({ number: cells[0]?.slice(2) ?? "", here: cells.at(-1)?.slice(0, -2) ?? "" }));
}

const isTitleIn = (text: string, title: string): boolean =>
  [`"${title}"`, `\`${title}\``].some((literal) => text.includes(literal));

describe("the table of defects", () => {
  const rows = readRows();
  const tests = listFiles().filter((path) => path.endsWith(".test.ts"));

  test("names tests that are there, or says why there is none", () => {
    assert.ok(rows.length > 50);
    for (const { number, here } of rows) {
      const named = [...here.matchAll(REFERENCE)];
      const isExplained = here.startsWith("not applicable: ") || number.startsWith("D4.");
      assert.ok(named.length > 0 || isExplained, `${number}: ${here}`);
      for (const [, path = "", title = ""] of named) {
        assert.ok(tests.includes(path), `${number}: there is no ${path}`);
        assert.ok(isTitleIn(readText(path), title), `${number}: ${path} has no "${title}"`);
      }
    }
  });

  test("has each number once", () => {
    const numbers = rows.flatMap(({ number }) => number.split(", "));
    assert.deepEqual(
      numbers.filter((number, index) => numbers.indexOf(number) !== index),
      [],
    );
  });

  test("and the tests cover the checklist together, each number by a test or by a reason", () => {
    const tagged = new Set<string>();
    // Attacks that several tests make have their names in a table.
    for (const path of [...tests, "test/support/h2-attacks.ts"]) {
      for (const [, number] of readText(path).matchAll(/\bD4[. ](\d+)/g))
        tagged.add(`D4.${number}`);
    }
    const excused = new Set(rows.map(({ number }) => number));
    for (const number of CHECKLIST) {
      assert.notEqual(tagged.has(number), excused.has(number), `${number}: a test or a reason`);
    }
  });
});
