/**
 * Keeps container logs bounded. Programs write straight to their file, so that a busy one costs
 * nothing here; a file that has grown too long is cut to its newer half.
 */
import { type FileHandle, open, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CONTAINER_LOG_CHECK_MS, CONTAINER_LOG_MAX_BYTES } from "#meshctl/local/limits.ts";
import type { ClusterPaths } from "#meshctl/local/paths.ts";

/** Looks at every log now and then, for as long as the process lives. */
export function limitLogs(paths: ClusterPaths): void {
  const dir = dirname(paths.podLogs("", ""));
  let busy = false;
  setInterval(() => {
    if (busy) return;
    busy = true;
    void cutLogs(dir).finally(() => {
      busy = false;
    });
  }, CONTAINER_LOG_CHECK_MS).unref();
}

async function cutLogs(dir: string): Promise<void> {
  try {
    for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) await cutLog(join(entry.parentPath, entry.name));
    }
  } catch {
    return; // A pod went away meanwhile; there is a next time.
  }
}

/**
 * Writers append (O_APPEND): after the cut they go on at the new end. Lines of that instant are
 * lost.
 */
export async function cutLog(path: string, maxBytes = CONTAINER_LOG_MAX_BYTES): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    if (size <= maxBytes) return;
    const kept = await newerPart(file, size, maxBytes / 2);
    await file.truncate(0);
    await file.write(kept, 0, kept.length, 0);
  } finally {
    await file.close();
  }
}

async function newerPart(file: FileHandle, size: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes);
  const { bytesRead } = await file.read(buffer, 0, bytes, size - bytes);
  const firstLineEnd = buffer.indexOf("\n");
  return buffer.subarray(firstLineEnd + 1, bytesRead);
}
