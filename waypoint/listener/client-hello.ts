/**
 * The server name in a TLS client hello, read without ending TLS. Source: RFC 8446 4.1.2 and 5.1,
 * RFC 6066 3.
 */

export type ClientHello =
  /** More bytes are needed to tell. */
  | { readonly kind: "incomplete" }
  | { readonly kind: "hello"; readonly sni: string | undefined }
  | { readonly kind: "invalid" };

const INCOMPLETE: ClientHello = { kind: "incomplete" };
const INVALID: ClientHello = { kind: "invalid" };

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME_EXTENSION = 0;
const HOST_NAME = 0;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
/** RFC 8446 5.1. */
const MAX_RECORD_BYTES = 16 * 1024;

/** Whether this can be the beginning of a TLS connection. Without a byte it can. */
export function maybeTls(bytes: Uint8Array): boolean {
  const [type = HANDSHAKE_RECORD, major = 3] = bytes;
  return type === HANDSHAKE_RECORD && major === 3;
}

/** Reads the first message of a connection, from however many records it takes. */
export function readClientHello(bytes: Uint8Array): ClientHello {
  const message = firstMessage(bytes);
  if ("kind" in message) return message;
  const reader = new Reader(message);
  // Version and random.
  reader.skip(34);
  reader.skip(reader.uint8());
  reader.skip(reader.uint16());
  reader.skip(reader.uint8());
  if (reader.failed) return INVALID;
  // TLS 1.2 may leave the extensions out altogether.
  if (reader.left === 0) return { kind: "hello", sni: undefined };
  const extensions = reader.take(reader.uint16());
  return extensions === undefined ? INVALID : serverName(extensions);
}

function serverName(extensions: Uint8Array): ClientHello {
  const reader = new Reader(extensions);
  while (reader.left > 0) {
    const type = reader.uint16();
    const body = reader.take(reader.uint16());
    if (body === undefined) return INVALID;
    if (type === SERVER_NAME_EXTENSION) return nameOf(body);
  }
  return { kind: "hello", sni: undefined };
}

function nameOf(extension: Uint8Array): ClientHello {
  const list = new Reader(extension);
  list.uint16();
  const type = list.uint8();
  const name = list.take(list.uint16());
  if (name === undefined || type !== HOST_NAME || list.left > 0) return INVALID;
  const text = Buffer.from(name).toString("latin1").toLowerCase();
  return NAME.test(text) ? { kind: "hello", sni: text } : INVALID;
}

const NAME = /^[a-z0-9_]([a-z0-9_.-]{0,253}[a-z0-9_])?$/;

/** The body of the client hello, put together from its records. */
function firstMessage(bytes: Uint8Array): Uint8Array | ClientHello {
  const parts: Uint8Array[] = [];
  let have = 0;
  for (let at = 0; ; ) {
    const header = bytes.subarray(at, at + RECORD_HEADER_BYTES);
    if (!maybeTls(header)) return INVALID;
    if (header.length < RECORD_HEADER_BYTES) return INCOMPLETE;
    const length = ((header[3] ?? 0) << 8) | (header[4] ?? 0);
    if (length === 0 || length > MAX_RECORD_BYTES) return INVALID;
    at += RECORD_HEADER_BYTES;
    const part = bytes.subarray(at, at + length);
    parts.push(part);
    have += part.length;
    at += length;
    const message = completeMessage(parts, have);
    if (message !== INCOMPLETE) return message;
    if (part.length < length) return INCOMPLETE;
  }
}

function completeMessage(parts: readonly Uint8Array[], have: number): Uint8Array | ClientHello {
  if (have < MESSAGE_HEADER_BYTES) return INCOMPLETE;
  const all = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  const [type, high = 0, middle = 0, low = 0] = all;
  if (type !== CLIENT_HELLO) return INVALID;
  const length = (high << 16) | (middle << 8) | low;
  if (length > MAX_RECORD_BYTES) return INVALID;
  if (have < MESSAGE_HEADER_BYTES + length) return INCOMPLETE;
  return all.subarray(MESSAGE_HEADER_BYTES, MESSAGE_HEADER_BYTES + length);
}

/** Reads numbers and runs of bytes; once something was missing, all that follows is nothing. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  uint8(): number {
    return this.take(1)?.[0] ?? 0;
  }

  uint16(): number {
    const [high = 0, low = 0] = this.take(2) ?? [];
    return (high << 8) | low;
  }

  skip(count: number): void {
    this.take(count);
  }

  take(count: number): Uint8Array | undefined {
    if (this.failed || this.left < count) {
      this.failed = true;
      return undefined;
    }
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}
