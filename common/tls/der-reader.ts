/**
 * A small strict reader of DER (X.690): definite, minimal lengths, single-byte tags, nothing beyond
 * the end. It exists so that identities are taken from the very bytes that were signed and never
 * from a printed form. Everything it refuses is a MeshError with code DER_MALFORMED.
 */
import { MeshError } from "#common/runtime/errors.ts";

/** Tags used in certificates (X.680 8.6; context tags from RFC 5280). */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  sequence: 0x30,
  /** `[3] EXPLICIT`, the extensions of a TBSCertificate. */
  context3: 0xa3,
} as const;

export interface DerElement {
  readonly tag: number;
  /** The element's value, without tag and length: a view, not a copy. */
  readonly value: Uint8Array;
  /** The element's whole encoding. */
  readonly encoded: Uint8Array;
}

export function malformed(what: string): MeshError {
  return new MeshError("DER_MALFORMED", `malformed DER: ${what}`);
}

/** Reads a run of elements one after the other; `end` must be called when no more are expected. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** The tag of the next element, or undefined at the end. */
  peekTag(): number | undefined {
    return this.#bytes[this.#offset];
  }

  /** The next element, which must have `tag` if one is given. */
  read(tag?: number): DerElement {
    const start = this.#offset;
    const found = this.#byte();
    if ((found & 0x1f) === 0x1f) throw malformed("a multi-byte tag");
    if (tag !== undefined && found !== tag) {
      throw malformed(`tag 0x${found.toString(16)} where 0x${tag.toString(16)} belongs`);
    }
    const length = this.#length();
    const end = this.#offset + length;
    if (end > this.#bytes.length) throw malformed("a length beyond the end");
    const value = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return { tag: found, value, encoded: this.#bytes.subarray(start, end) };
  }

  /** A reader over the value of the next element. */
  enter(tag: number): DerReader {
    return new DerReader(this.read(tag).value);
  }

  /** Skips the next element if it has this tag. */
  skipOptional(tag: number): void {
    if (this.peekTag() === tag) this.read(tag);
  }

  /** Refuses trailing bytes. */
  end(): void {
    if (!this.done) throw malformed("bytes after the end");
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw malformed("the end came early");
    this.#offset += 1;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    // 0x80 alone is BER's indefinite length; no certificate of ours needs more than three bytes.
    if (count === 0 || count > 3) throw malformed("an indefinite or oversized length");
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#byte();
    const minimal = length >= 0x80 && length >= 256 ** (count - 1);
    if (!minimal) throw malformed("a length that is not minimal");
    return length;
  }
}

/** DER's BOOLEAN: 0x00 or 0xff and nothing else. */
export function readBoolean(element: DerElement): boolean {
  const [byte] = element.value;
  if (element.value.length !== 1 || (byte !== 0x00 && byte !== 0xff)) {
    throw malformed("a BOOLEAN that is neither 00 nor ff");
  }
  return byte === 0xff;
}

/** The hexadecimal form of an object identifier's value, e.g. "551d11" for 2.5.29.17. */
export function oidHex(element: DerElement): string {
  if (element.tag !== TAG.oid || element.value.length === 0) throw malformed("an OID was expected");
  return Buffer.from(element.value).toString("hex");
}
