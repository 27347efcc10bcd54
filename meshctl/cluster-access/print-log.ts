/** A container's log in a file, printed, and followed through restarts. */
import { existsSync } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const FOLLOW_POLL_MS = 200;
const CHUNK_BYTES = 64 * 1024;

/** Only the last `tail` lines, if given. */
export async function printFile(path: string, tail: number | undefined): Promise<void> {
  const file = await open(path);
  const text = await file.readFile("utf8");
  await file.close();
  const lines = text.split("\n");
  process.stdout.write(tail === undefined ? text : lines.slice(-tail - 1).join("\n"));
}

/** Until the cluster is gone. A restart begins a new file, a long log is cut: both start over. */
export async function follow(path: string): Promise<void> {
  let file = await open(path);
  let { ino, size: position } = await file.stat();
  while (existsSync(path)) {
    position = await printFrom(file, position);
    await sleep(FOLLOW_POLL_MS);
    const now = await stat(path).catch(() => undefined);
    if (now === undefined) continue;
    if (now.ino !== ino) {
      await printFrom(file, position);
      await file.close();
      file = await open(path);
      ino = now.ino;
      position = 0;
    } else if (now.size < position) position = now.size;
  }
  await file.close();
}

async function printFrom(file: FileHandle, start: number): Promise<number> {
  const buffer = Buffer.alloc(CHUNK_BYTES);
  let position = start;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return position;
    process.stdout.write(Uint8Array.prototype.slice.call(buffer, 0, bytesRead));
    position += bytesRead;
  }
}
