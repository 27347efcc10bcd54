/** The tour that the README promises, from its beginning to its end. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";

const MAIN = join(import.meta.dirname, "../../meshctl/demo/main.ts");
const CLAIMS = 16;
/** It takes a minute beside another test; a busy machine takes several. */
const TIMEOUT = { timeout: 300_000 };

it("npm run demo shows every claim that it makes, to its end", TIMEOUT, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN], { maxBuffer: 2 ** 24 });
  assert.match(stdout, new RegExp(`\\n${CLAIMS} claims shown in \\d+ s\\.\\n`));
  assert.match(stdout, /\nThe cluster is gone: /);
});
