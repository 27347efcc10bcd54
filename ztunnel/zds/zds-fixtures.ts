/** Test support: a folder for a socket, a logger that keeps quiet, and waiting for what comes. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createLogger } from "#common/telemetry/logger.ts";

const PATIENCE_MS = 10_000;

export const INFO = { name: "web", namespace: "shop", serviceAccount: "web" };

export const quiet = createLogger({ level: "error", format: "text", write: () => undefined });

/** A path for a socket in a folder of its own, which is removed at the end. */
export function socketPath(): { readonly path: string; [Symbol.dispose](): void } {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "zds-"));
  return {
    path: path.join(dir, "ztunnel.sock"),
    [Symbol.dispose]: () => fs.rmSync(dir, { recursive: true }),
  };
}

/** Polls until `look` says yes. */
export async function until(what: string, look: () => boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!look()) {
    if (Date.now() > deadline) throw new Error(`not so in time: ${what}`);
    await delay(5);
  }
}
