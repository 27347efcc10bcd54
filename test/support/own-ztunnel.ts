/** Our ztunnel as a program with a path, for what otherwise runs a stock one. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../ztunnel/main.ts", import.meta.url));

export interface OwnZtunnel extends Disposable {
  readonly path: string;
  /** A folder of its own, removed with it. */
  readonly folder: string;
}

export function ownZtunnel(): OwnZtunnel {
  const folder = mkdtempSync(join(tmpdir(), "own-ztunnel-"));
  const path = join(folder, "ztunnel");
  writeFileSync(path, `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
  chmodSync(path, 0o755);
  return { path, folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}
