/**
 * Our ztunnel in the place of a stock one: its pods come from a CNI agent by ZDS, or its state from a
 * local file.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { describeInpod } from "#test/support/inpod-scenarios.ts";

const MAIN = fileURLToPath(new URL("../../ztunnel/main.ts", import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "own-ztunnel-"));
const program = join(folder, "ztunnel");
writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
chmodSync(program, 0o755);
after(() => rmSync(folder, { recursive: true }));

describeInpod("our ztunnel", program);
