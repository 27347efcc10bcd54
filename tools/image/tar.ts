/**
 * Writes tar archives that depend on nothing but what they hold: everything is root's, times are 0,
 * and names stand in the order in which they are added. Format: POSIX.1-1988 (ustar), with a pax
 * record (POSIX.1-2001) for a name that is too long for it.
 */
import { createHash, type Hash } from "node:crypto";
import { closeSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { MeshError } from "#common/runtime/errors.ts";

const BLOCK = 512;
const NAME_MAX = 100;
const PREFIX_MAX = 155;
const COPY_BYTES = 1 << 20;

const TYPES = { file: "0", symlink: "2", directory: "5", pax: "x" } as const;

interface Header {
  readonly path: string;
  readonly type: keyof typeof TYPES;
  readonly mode: number;
  readonly size: number;
  readonly linkTarget?: string;
}

/** What is known of a closed archive. */
export interface TarSummary {
  readonly sha256: string;
  readonly size: number;
}

export class TarWriter {
  readonly #fd: number;
  readonly #hash: Hash = createHash("sha256");
  #size = 0;

  /** Makes or replaces the file at `path`. */
  constructor(path: string) {
    this.#fd = openSync(path, "w");
  }

  directory(path: string, mode: number): void {
    this.#header({ path: `${path}/`, type: "directory", mode, size: 0 });
  }

  symlink(path: string, linkTarget: string): void {
    this.#header({ path, type: "symlink", mode: 0o777, size: 0, linkTarget });
  }

  /** `mode`: permission bits. */
  content(path: string, mode: number, content: Uint8Array): void {
    this.#header({ path, type: "file", mode, size: content.length });
    this.#write(content);
    this.#pad();
  }

  /** The bytes of the file at `source`, read piece by piece. */
  file(path: string, mode: number, source: string): void {
    const { size } = statSync(source);
    this.#header({ path, type: "file", mode, size });
    const fd = openSync(source, "r");
    const buffer = Buffer.allocUnsafe(COPY_BYTES);
    let copied = 0;
    try {
      for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer)) {
        this.#write(buffer.subarray(0, read));
        copied += read;
      }
    } finally {
      closeSync(fd);
    }
    if (copied !== size) {
      throw new MeshError("TAR_SOURCE_CHANGED", `${source} changed while it was read`, {
        hint: "run it again while nothing writes there",
      });
    }
    this.#pad();
  }

  close(): TarSummary {
    this.#write(Buffer.alloc(2 * BLOCK));
    closeSync(this.#fd);
    return { sha256: this.#hash.digest("hex"), size: this.#size };
  }

  #header(header: Header): void {
    const { path, linkTarget = "" } = header;
    const split = splitPath(path);
    const records: Record<string, string> = {};
    if (split === undefined) records.path = path;
    if (Buffer.byteLength(linkTarget) > NAME_MAX) records.linkpath = linkTarget;
    if (Object.keys(records).length > 0) {
      const body = paxRecords(records);
      const pax = { path: "pax", type: "pax", mode: 0o644, size: body.length } as const;
      this.#write(encodeHeader(pax, { name: "pax", prefix: "" }));
      this.#write(body);
      this.#pad();
    }
    const short = { name: path.slice(0, NAME_MAX / 4), prefix: "" };
    this.#write(encodeHeader(header, split ?? short));
  }

  #pad(): void {
    const over = this.#size % BLOCK;
    if (over > 0) this.#write(Buffer.alloc(BLOCK - over));
  }

  #write(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#size += bytes.length;
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
  }
}

interface SplitPath {
  readonly name: string;
  readonly prefix: string;
}

/** Undefined for a path that the two fields of ustar cannot hold. */
function splitPath(path: string): SplitPath | undefined {
  if (Buffer.byteLength(path) <= NAME_MAX) return { name: path, prefix: "" };
  for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) {
    const split = { name: path.slice(at + 1), prefix: path.slice(0, at) };
    if (split.name === "" || Buffer.byteLength(split.prefix) > PREFIX_MAX) return undefined;
    if (Buffer.byteLength(split.name) <= NAME_MAX) return split;
  }
  return undefined;
}

/** Each record says its own length, in decimal, itself included. */
function paxRecords(records: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + String(rest).length;
    length = rest + String(length).length;
    return `${length} ${key}=${value}\n`;
  });
  return Buffer.from(lines.join(""));
}

/** Field offsets: POSIX.1-1988, 10.1.1. */
function encodeHeader(header: Header, { name, prefix }: SplitPath): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, digits: number): void =>
    void block.write(`${value.toString(8).padStart(digits, "0")}\0`, at);
  block.write(name, 0);
  octal(header.mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(header.size, 124, 11);
  octal(0, 136, 11);
  block.write(" ".repeat(8), 148);
  block.write(TYPES[header.type], 156);
  const link = header.linkTarget ?? "";
  block.write(Buffer.byteLength(link) > NAME_MAX ? "" : link, 157);
  block.write("ustar\x0000", 257, "latin1");
  block.write("root", 265);
  block.write("root", 297);
  octal(0, 329, 7);
  octal(0, 337, 7);
  block.write(prefix, 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
