import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { REPLY_REASONS } from "./stage.ts";

test("every reason is explained in docs/waypoint-answers.md, and nothing else is", async () => {
  const page = new URL("../../docs/waypoint-answers.md", import.meta.url);
  const rows = (await readFile(page, "utf8")).match(/(?<=^\| `)[a-z0-9-]+(?=` \|)/gm) ?? [];
  assert.deepEqual([...rows].sort(), [...REPLY_REASONS].sort());
});
