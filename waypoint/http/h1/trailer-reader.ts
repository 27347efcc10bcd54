/**
 * The trailer section of a chunked body: gathered whole, then parsed as the fields of a request,
 * by the same strict parser that reads heads.
 */
import type { HeaderList } from "../header-list.ts";
import { trailerList } from "./fields.ts";
import { HeadBuffer } from "./head-buffer.ts";
import { requestParser } from "./node-parser.ts";

const AS_HEAD = Buffer.from("GET / HTTP/1.1\r\n");
const CR = 13;
const LF = 10;

/** `more`: it does not end in these bytes. */
export type TrailerResult = "more" | "too-large" | "malformed" | "done";

export class TrailerReader {
  readonly #headerBytes: number;
  readonly #headerCount: number;
  #gathered: HeadBuffer | undefined;
  /** Where it stopped reading. */
  at = 0;
  trailers: HeaderList | undefined;

  constructor(limits: { readonly headerBytes: number; readonly headerCount: number }) {
    this.#headerBytes = limits.headerBytes;
    this.#headerCount = limits.headerCount;
  }

  read(bytes: Buffer, at: number): TrailerResult {
    if (this.#gathered === undefined && bytes[at] === CR && bytes[at + 1] === LF) {
      this.at = at + 2;
      return "done";
    }
    if (this.#gathered === undefined) {
      this.#gathered = new HeadBuffer();
      this.#gathered.append(AS_HEAD);
    }
    const before = this.#gathered.length;
    const end = this.#gathered.endWith(bytes.subarray(at));
    const length = end < 0 ? this.#gathered.length : end;
    if (length - AS_HEAD.length > this.#headerBytes) return "too-large";
    if (end < 0) {
      this.at = bytes.length;
      return "more";
    }
    this.at = at + end - before;
    return this.#parse(this.#gathered.view.subarray(0, end));
  }

  #parse(section: Buffer): TrailerResult {
    const parser = requestParser();
    if (parser.parse(section) !== section.length) return "malformed";
    const { fields } = parser.head;
    if (fields.length > this.#headerCount * 2) return "too-large";
    this.trailers = trailerList(fields);
    return "done";
  }
}
