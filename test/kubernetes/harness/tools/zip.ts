/**
 * Reads zip files of Go modules: no zip64, no encryption, stored or deflated entries (APPNOTE.TXT
 * 4.3; the hash is golang.org/x/mod/sumdb/dirhash's Hash1).
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inflateRawSync } from "node:zlib";

interface ZipEntry {
  readonly name: string;
  readonly data: () => Buffer;
}

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const END_BYTES = 22;
const DEFLATED = 8;

/** The entries, in the order of the archive's directory. */
export function openZip(path: string): ZipEntry[] {
  const file = readFileSync(path);
  let end = file.length - END_BYTES;
  while (end >= 0 && file.readUInt32LE(end) !== END_SIGNATURE) end -= 1;
  if (end < 0) throw new Error(`${path} is no zip file`);
  const entries: ZipEntry[] = [];
  let at = file.readUInt32LE(end + 16);
  for (let count = file.readUInt16LE(end + 10); count > 0; count -= 1) {
    if (file.readUInt32LE(at) !== ENTRY_SIGNATURE) throw new Error(`${path} is damaged at ${at}`);
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((o) =>
      file.readUInt16LE(at + o),
    );
    const nameEnd = at + 46 + (nameBytes ?? 0);
    const name = file.toString("utf8", at + 46, nameEnd);
    const entry = at;
    entries.push({ name, data: () => readEntry(file, entry) });
    at = nameEnd + (extraBytes ?? 0) + (commentBytes ?? 0);
  }
  return entries;
}

function readEntry(file: Buffer, entry: number): Buffer {
  const method = file.readUInt16LE(entry + 10);
  const packedBytes = file.readUInt32LE(entry + 20);
  const header = file.readUInt32LE(entry + 42);
  const start = header + 30 + file.readUInt16LE(header + 26) + file.readUInt16LE(header + 28);
  const packed = file.subarray(start, start + packedBytes);
  return method === DEFLATED ? inflateRawSync(packed) : packed;
}

/** "h1:..." as go.sum has it. */
export function hashModuleZip(entries: readonly ZipEntry[]): string {
  const sha256 = (data: Buffer) => createHash("sha256").update(data).digest("hex");
  const byName = [...entries].sort((a, b) =>
    Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );
  const lines = byName.map(({ name, data }) => `${sha256(data())}  ${name}\n`);
  return `h1:${createHash("sha256").update(lines.join("")).digest("base64")}`;
}

/** Writes what stands below `prefix` in the archive into `folder`. */
export function unpackZip(entries: readonly ZipEntry[], folder: string, prefix: string): void {
  for (const { name, data } of entries) {
    if (!name.startsWith(prefix) || name.endsWith("/")) continue;
    if (name.split("/").includes("..")) throw new Error(`${name} points out of its archive`);
    const path = join(folder, name.slice(prefix.length));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, data());
  }
}
