import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { REASONS, responseFlag } from "./reason.ts";

// Headings in words are about other things than refused connections, those of `meshctl check` too.
test("every reason has its heading in docs/troubleshooting.md, and every such heading its reason", async () => {
  const text = await readFile(new URL("../../docs/troubleshooting.md", import.meta.url), "utf8");
  const headings = text.match(/(?<=^## )(?!check-)[a-z0-9-]+$/gm) ?? [];
  assert.deepEqual([...headings].sort(), [...REASONS].sort());
});

test("a connection that ended well has no flag", () => {
  assert.equal(responseFlag(undefined), "-");
});
