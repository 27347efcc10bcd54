/** Reads one configuration file from disk without ever hanging on it or trusting its size. */
import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { MAX_FILE_BYTES } from "#common/kubernetes/limits.ts";

/** What stays the same while a file does; `modifiedMs` is its mtime in milliseconds since 1970. */
export interface Fingerprint {
  readonly text: string;
  readonly size: number;
  readonly modifiedMs: number;
}

export function fingerprintOf(stats: BigIntStats): Fingerprint {
  const { dev, ino, size, mtimeNs, ctimeNs, mtimeMs } = stats;
  const text = [dev, ino, size, mtimeNs, ctimeNs].join(":");
  return { text, size: Number(size), modifiedMs: Number(mtimeMs) };
}

export type FileText = { readonly text: string } | { readonly error: string };

/** The text of a regular file in UTF-8 (a byte order mark is dropped), or why there is none. */
export async function readText(path: string): Promise<FileText> {
  let handle: FileHandle | undefined;
  try {
    // Not blocking: a FIFO put in the place of the file must not hang the reader.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!(await handle.stat()).isFile()) return { error: "is no regular file" };
    return decode(await readBounded(handle));
  } catch (error) {
    return { error: describeFileError(error) };
  } finally {
    await handle?.close();
  }
}

async function readBounded(handle: FileHandle): Promise<Buffer> {
  const { size } = await handle.stat();
  const buffer = Buffer.alloc(Math.min(size, MAX_FILE_BYTES) + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

function decode(bytes: Buffer): FileText {
  if (bytes.length > MAX_FILE_BYTES) return { error: `is larger than ${MAX_FILE_BYTES} bytes` };
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    return { error: "is not UTF-8 text" };
  }
}

/** A file system error in words; the code for those that need none of ours. */
export function describeFileError(error: unknown): string {
  const code = fileErrorCode(error);
  if (code === "EACCES" || code === "EPERM") return "may not be read: permission denied";
  if (code === "ELOOP") return "is a symbolic link to itself";
  if (code === "ENOENT") return "does not exist";
  if (code === "ENOTDIR") return "is no folder";
  return `cannot be read: ${code ?? String(error)}`;
}

export function fileErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
