import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStockZtunnels } from "./stock-ztunnel-option.ts";

test("one path is for every node, one with a name for that node", () => {
  assert.deepEqual(parseStockZtunnels([]), { byNode: {} });
  assert.deepEqual(parseStockZtunnels(["/bin/sh"]), { everywhere: "/bin/sh", byNode: {} });
  assert.deepEqual(parseStockZtunnels(["/bin/sh", "node2=/bin/cat"]), {
    everywhere: "/bin/sh",
    byNode: { node2: "/bin/cat" },
  });
});

test("a path is taken from where it was typed", () => {
  const from = process.cwd();
  process.chdir("/");
  try {
    assert.deepEqual(parseStockZtunnels(["bin/sh"]), { everywhere: "/bin/sh", byNode: {} });
  } finally {
    process.chdir(from);
  }
});

const REFUSED: Readonly<Record<string, [values: string[], why: RegExp]>> = {
  "a file that is not there": [["/no/such/ztunnel"], /\/no\/such\/ztunnel cannot be run/],
  "a folder": [["/bin"], /\/bin is no program/],
  "a file that is no program": [[import.meta.filename], /cannot be run/],
  "two for every node": [["/bin/sh", "/bin/cat"], /given twice for every node/],
  "two for one node": [["n=/bin/sh", "n=/bin/cat"], /given twice for n/],
};
for (const [what, [values, message]] of Object.entries(REFUSED)) {
  test(`${what} is refused before anything starts`, () => {
    assert.throws(() => parseStockZtunnels(values), { code: "BAD_ZTUNNEL", message });
  });
}
