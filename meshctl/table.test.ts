import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAge, formatTable } from "./table.ts";

test("tables have columns as wide as they must be", () => {
  const table = formatTable(
    ["NAME", "AGE"],
    [
      ["a", "1s"],
      ["much-longer", ""],
    ],
  );
  assert.equal(table, "NAME          AGE\na             1s\nmuch-longer\n");
});

test("ages are given in their largest unit", () => {
  const now = new Date("2026-01-03T00:00:00Z");
  const age = (timestamp: string) => formatAge(timestamp, now);
  assert.deepEqual(
    [
      "2026-01-02T23:59:55Z",
      "2026-01-02T23:57:00Z",
      "2026-01-02T20:00:00Z",
      "2025-12-30T00:00:00Z",
    ].map(age),
    ["5s", "3m", "4h", "4d"],
  );
  assert.equal(formatAge(undefined, now), "-");
});
