/**
 * What both ends of a connection do with the bytes that come: find heads, deliver bodies by their
 * framing, hold what comes too early, and stop reading while nobody takes more.
 */
import type { HeaderList } from "../header-list.ts";
import { EMPTY_LINES_BEFORE_REQUEST, READ_AHEAD_BYTES } from "../limits.ts";
import { ChunkedReader } from "./chunked-reader.ts";
import { canBecomeHead, END_OF_HEAD, HeadBuffer } from "./head-buffer.ts";
import { TrailerReader } from "./trailer-reader.ts";

const CR = 13;
const LF = 10;

/**
 * What is being read. `hold`: nothing, what comes waits; `discard`: what comes is thrown away;
 * `length` and the rest are the framings of bodies.
 */
type Mode = "head" | "hold" | "discard" | "length" | "chunked" | "trailers" | "until-close";

export type BodyFraming =
  | { readonly kind: "none" | "chunked" | "until-close" }
  | { readonly kind: "length"; readonly bytes: number };

/** What came is not HTTP, or more than a bound allows. `status`: what a server answers. */
export interface ReadFault {
  readonly code: "protocol" | "limit";
  readonly status: 400 | 431;
  readonly message: string;
}

export function malformed(message: string): ReadFault {
  return { code: "protocol", status: 400, message };
}

export interface ReaderLimits {
  readonly headerBytes: number;
  readonly headerCount: number;
}

export interface ReaderOwner {
  /** The first bytes of a head have come. */
  onHeadBegun(): void;
  /** A head is complete; the owner calls `hold`, `expectHead` or `expectBody` in turn. */
  onHead(head: Buffer): void;
  onBody(chunk: Buffer): boolean;
  onBodyEnd(trailers: HeaderList | undefined): void;
  onFault(fault: ReadFault): void;
}

export class MessageReader {
  readonly #owner: ReaderOwner;
  readonly #limits: ReaderLimits;
  #mode: Mode = "head";
  /** What has come and was not read yet. */
  #held: Buffer | undefined;
  #at = 0;
  readonly #partial = new HeadBuffer();
  #emptyLines = 0;
  /** The last byte was a CR where an empty line may be. */
  #halfLine = false;
  #remaining = 0;
  #chunked: ChunkedReader | undefined;
  #trailers: TrailerReader | undefined;
  /** Whoever takes the body was told to stop us. */
  #blocked = false;
  #running = false;

  constructor(owner: ReaderOwner, limits: ReaderLimits) {
    this.#owner = owner;
    this.#limits = limits;
  }

  /** Whether bytes wait that were not read yet. */
  get hasHeld(): boolean {
    return this.#held !== undefined && this.#at < this.#held.length;
  }

  /** What waits to be read. */
  get held(): Buffer | undefined {
    return this.hasHeld ? this.#held?.subarray(this.#at) : undefined;
  }

  /** Whether more may wait behind what is being answered. */
  get readsAhead(): boolean {
    const waiting = this.#held === undefined ? 0 : this.#held.length - this.#at;
    return this.#mode === "hold" && waiting < READ_AHEAD_BYTES;
  }

  /** Part of a head has come. */
  get inHead(): boolean {
    return this.#mode === "head" && this.#partial.length > 0;
  }

  /** Of a body whose end will be seen. */
  get inBody(): boolean {
    return this.#mode === "length" || this.#mode === "chunked" || this.#mode === "trailers";
  }

  /** Of a body that ends with the connection, or of another protocol. */
  get untilClose(): boolean {
    return this.#mode === "until-close";
  }

  /** Whoever takes the body was told to stop us. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Reads on; false where the connection is to be read no further until `advance` says so. */
  push(bytes: Buffer): boolean {
    if (this.#mode === "discard") return true;
    if (this.#held === undefined) {
      this.#held = bytes;
      this.#at = 0;
    } else {
      this.#held = Buffer.concat([this.#held.subarray(this.#at), bytes]);
      this.#at = 0;
    }
    return this.advance();
  }

  expectHead(): void {
    this.#mode = "head";
    this.#emptyLines = 0;
    this.#halfLine = false;
    this.#blocked = false;
  }

  hold(): void {
    this.#mode = "hold";
    this.#blocked = false;
  }

  discard(): void {
    this.#mode = "discard";
    this.#held = undefined;
    this.#partial.clear();
    this.#blocked = false;
  }

  /** `none` is the owner's business: there is nothing to read. */
  expectBody(framing: BodyFraming): void {
    this.#blocked = false;
    if (framing.kind === "none") this.#mode = "hold";
    else this.#mode = framing.kind;
    if (framing.kind === "length") this.#remaining = framing.bytes;
    if (framing.kind === "chunked") this.#chunked = new ChunkedReader();
  }

  unblock(): void {
    this.#blocked = false;
  }

  /** Reads what is held as far as it may; true where the connection is to be read. */
  advance(): boolean {
    if (this.#running) return false;
    this.#running = true;
    while (this.#held !== undefined && !this.#blocked && this.#mode !== "hold") {
      if (this.#at < this.#held.length) this.#step(this.#held);
      if (this.#held !== undefined && this.#at >= this.#held.length) this.#held = undefined;
    }
    this.#running = false;
    return this.#held === undefined && !this.#blocked;
  }

  #step(bytes: Buffer): void {
    switch (this.#mode) {
      case "head":
        this.#stepHead(bytes);
        return;
      case "length":
        this.#stepLength(bytes);
        return;
      case "chunked":
        this.#stepChunked(bytes);
        return;
      case "trailers":
        this.#stepTrailers(bytes);
        return;
      default:
        this.#deliver(bytes, bytes.length);
    }
  }

  #stepHead(bytes: Buffer): void {
    if (this.#partial.length > 0) {
      this.#continueHead(bytes);
      return;
    }
    if (!this.#skipEmptyLines(bytes)) return;
    const at = this.#at;
    const found = bytes.indexOf(END_OF_HEAD, at);
    if (found < 0) {
      this.#owner.onHeadBegun();
      this.#continueHead(bytes);
      return;
    }
    const end = found + END_OF_HEAD.length;
    this.#at = end;
    if (end - at > this.#limits.headerBytes) this.#tooLarge();
    else this.#owner.onHead(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
  }

  /** A head that began in an earlier read, or does not end in this one. */
  #continueHead(bytes: Buffer): void {
    const before = this.#partial.length;
    const piece = this.#at === 0 ? bytes : bytes.subarray(this.#at);
    const end = this.#partial.endWith(piece);
    const length = end < 0 ? this.#partial.length : end;
    if (length > this.#limits.headerBytes) {
      this.#tooLarge();
      return;
    }
    if (end < 0) {
      this.#at = bytes.length;
      if (!canBecomeHead(this.#partial.view)) this.#fail(malformed("no HTTP/1.1 request"));
      return;
    }
    this.#at += end - before;
    const head = this.#partial.view.subarray(0, end);
    this.#partial.clear();
    this.#owner.onHead(head);
  }

  /** False where there is nothing but empty lines, or too many of them. */
  #skipEmptyLines(bytes: Buffer): boolean {
    while (this.#at < bytes.length) {
      const byte = bytes[this.#at];
      if (this.#halfLine ? byte !== LF : byte !== CR) break;
      this.#at++;
      this.#halfLine = !this.#halfLine;
      if (this.#halfLine || ++this.#emptyLines <= EMPTY_LINES_BEFORE_REQUEST) continue;
      this.#fail(malformed("empty lines instead of a request"));
      return false;
    }
    if (this.#at === bytes.length) return false;
    if (this.#halfLine) this.#fail(malformed("a bare CR before the request"));
    return !this.#halfLine;
  }

  #stepLength(bytes: Buffer): void {
    const take = Math.min(this.#remaining, bytes.length - this.#at);
    this.#remaining -= take;
    const over = this.#remaining === 0;
    this.#deliver(bytes, this.#at + take);
    if (over && this.#mode === "length") this.#endBody(undefined);
  }

  #stepChunked(bytes: Buffer): void {
    const chunked = this.#chunked ?? new ChunkedReader();
    if (!chunked.inData) {
      this.#at = chunked.skipFraming(bytes, this.#at);
      if (chunked.fault !== undefined) this.#fail(malformed(chunked.fault));
      else if (chunked.last) this.#mode = "trailers";
      return;
    }
    const start = this.#at;
    const end = chunked.gather(bytes, start);
    this.#at = chunked.at;
    this.#give(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
  }

  #stepTrailers(bytes: Buffer): void {
    this.#trailers ??= new TrailerReader(this.#limits);
    const section = this.#trailers;
    const result = section.read(bytes, this.#at);
    this.#at = section.at;
    if (result === "more") return;
    this.#trailers = undefined;
    if (result === "done") this.#endBody(section.trailers);
    else if (result === "too-large") this.#tooLarge();
    else this.#fail(malformed("malformed trailers"));
  }

  #deliver(bytes: Buffer, end: number): void {
    const at = this.#at;
    this.#at = end;
    this.#give(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
  }

  #give(chunk: Buffer): void {
    if (!this.#owner.onBody(chunk)) this.#blocked = true;
  }

  #endBody(trailers: HeaderList | undefined): void {
    this.#mode = "hold";
    this.#blocked = false;
    this.#owner.onBodyEnd(trailers);
  }

  #tooLarge(): void {
    this.#fail({ code: "limit", status: 431, message: "the header is larger than allowed" });
  }

  #fail(fault: ReadFault): void {
    this.discard();
    this.#owner.onFault(fault);
  }
}
