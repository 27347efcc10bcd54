/**
 * Messages over a connection that a server has switched to WebSocket. Reading is asked for, message
 * by message: what nobody asks for stays in the network, so that memory is bounded by one message.
 */
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { MeshError } from "#common/runtime/errors.ts";
import { encodeFrame, type Frame, FrameReader, opcodes } from "./websocket-frames.ts";

/** RFC 6455 section 7.4.1. */
const NORMAL_CLOSURE = 1000;
const NO_STATUS = 1005;

/** How a server ended it. */
export interface Closure {
  readonly code: number;
  readonly reason: string;
}

export class WebSocketMessages {
  readonly #socket: Duplex;
  readonly #reader: FrameReader;
  readonly #maxBytes: number;
  readonly #head: Buffer;
  #closing = false;
  /** Set once the server has said that it ends. */
  closure: Closure | undefined;

  /** `head`: what came with the answer that switched; a message of more bytes ends it all. */
  constructor(socket: Duplex, head: Buffer, maxBytes: number) {
    this.#socket = socket;
    this.#head = head;
    this.#maxBytes = maxBytes;
    this.#reader = new FrameReader(maxBytes);
    // Whoever reads or writes hears of it; between the two it must not end the process.
    socket.on("error", () => undefined);
  }

  /** Resolves when the connection takes more. Rejects once it is gone. */
  send(payload: Uint8Array): Promise<void> {
    return this.#write(opcodes.binary, payload);
  }

  /** To be read once. Ends with the server; throws a MeshError where it breaks off in between. */
  async *messages(): AsyncGenerator<Buffer> {
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of this.#chunks()) {
      for (const frame of this.#reader.read(chunk)) {
        if (frame.opcode >= opcodes.close) {
          if (await this.#answersClose(frame)) return;
          continue;
        }
        bytes += frame.payload.length;
        if (bytes > this.#maxBytes) throw brokenOff(`a message of more than ${this.#maxBytes} B`);
        parts.push(frame.payload);
        if (!frame.final) continue;
        yield parts.length === 1 ? frame.payload : Buffer.concat(parts);
        parts.length = 0;
        bytes = 0;
      }
    }
    if (this.#reader.partial || parts.length > 0) throw brokenOff("the connection was cut");
  }

  /** Says goodbye and ends the connection; at once where the server takes nothing. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded || socket.writableNeedDrain) {
      socket.destroy();
      return;
    }
    const status = Buffer.alloc(2);
    status.writeUInt16BE(NORMAL_CLOSURE);
    socket.end(encodeFrame(opcodes.close, status, randomBytes(4)), () => socket.destroy());
  }

  async *#chunks(): AsyncGenerator<Buffer> {
    if (this.#head.length > 0) yield this.#head;
    try {
      for await (const chunk of this.#socket) yield chunk as Buffer;
    } catch (cause) {
      if (!this.#closing) throw brokenOff("the connection broke", cause);
    }
  }

  /** True where nothing follows. */
  async #answersClose({ opcode, payload }: Frame): Promise<boolean> {
    if (opcode === opcodes.ping) await this.#write(opcodes.pong, payload);
    if (opcode !== opcodes.close) return false;
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : NO_STATUS;
    this.closure = { code, reason: payload.subarray(2).toString() };
    this.close();
    return true;
  }

  #write(opcode: number, payload: Uint8Array): Promise<void> {
    const frame = encodeFrame(opcode, payload, randomBytes(4));
    return new Promise((resolve, reject) => {
      if (this.#socket.writableEnded || this.#socket.destroyed) {
        reject(brokenOff("the connection is gone"));
        return;
      }
      this.#socket.write(frame, (error) =>
        error == null ? resolve() : reject(brokenOff("the connection broke", error)),
      );
    });
  }
}

function brokenOff(what: string, cause?: unknown): MeshError {
  return new MeshError("WEBSOCKET_BROKEN", `the API server's stream ended: ${what}`, { cause });
}
