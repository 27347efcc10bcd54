/** HTTP/2 frames by hand, for peers that no library would be (RFC 9113, RFC 7541). */
import { once } from "node:events";
import type { TLSSocket } from "node:tls";

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;

const FRAME_HEADER_BYTES = 9;
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

export function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Literal header fields; `indexed` ones are put into the dynamic table. */
export function headerBlock(
  fields: readonly (readonly [name: string, value: string])[],
  indexed = false,
): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.of(indexed ? 0x40 : 0),
      ...[name, value].flatMap((text) => [length(text.length), Buffer.from(text, "latin1")]),
    ]),
  );
}

/** An integer with a prefix of seven bits (RFC 7541 5.1). */
function length(value: number): Buffer {
  if (value < 0x7f) return Buffer.of(value);
  const bytes = [0x7f];
  let rest = value - 0x7f;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** A connection that has said hello, and everything the server answers on it. */
export class RawHttp2 implements Disposable {
  readonly #socket: TLSSocket;
  readonly #types = new Map<number, number>();
  #received: Buffer = Buffer.alloc(0);
  #closed = false;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.#closed = true;
    });
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, 0, Buffer.alloc(0))]));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** How many frames of a type have come. */
  count(type: number): number {
    return this.#types.get(type) ?? 0;
  }

  /** Sends, and waits while the server does not take it; what nobody takes any more is dropped. */
  async send(...frames: readonly Buffer[]): Promise<void> {
    if (this.#closed || this.#socket.write(Buffer.concat(frames))) return;
    const waiting = new AbortController();
    const { signal } = waiting;
    const ended = [
      once(this.#socket, "drain", { signal }),
      once(this.#socket, "close", { signal }),
    ];
    await Promise.race(ended).catch(() => undefined);
    waiting.abort();
    await Promise.allSettled(ended);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + this.#received.readUIntBE(0, 3);
      if (this.#received.length < end) return;
      const type = this.#received[3] ?? 0;
      this.#types.set(type, this.count(type) + 1);
      this.#received = this.#received.subarray(end);
    }
  }
}
