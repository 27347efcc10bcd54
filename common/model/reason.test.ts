import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { REASONS, responseFlag } from "./reason.ts";

test("every reason has its heading in docs/troubleshooting.md, and every heading its reason", async () => {
  const text = await readFile(new URL("../../docs/troubleshooting.md", import.meta.url), "utf8");
  const headings = text.match(/(?<=^## ).*$/gm) ?? [];
  assert.deepEqual([...headings].sort(), [...REASONS].sort());
});

test("a connection that ended well has no flag", () => {
  assert.equal(responseFlag(undefined), "-");
});
