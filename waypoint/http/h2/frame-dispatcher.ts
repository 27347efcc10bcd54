/**
 * What each frame must be by itself, and at its place among others (RFC 9113 6); then its meaning.
 */
import type { FrameSink } from "./frame-reader.ts";
import {
  ACK,
  CONTINUATION,
  ConnectionFault,
  END_STREAM,
  FRAME_SIZE_ERROR,
  GOAWAY,
  HEADERS,
  PING,
  PRIORITY,
  PROTOCOL_ERROR,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "./frames.ts";
import { type BlockSink, checkDependency, HeaderBlockReader } from "./header-block.ts";

/** Payloads and blocks are valid during the call only. Each may throw ConnectionFault. */
export interface FrameHandler extends BlockSink {
  /** Nothing more is wanted. */
  readonly deaf: boolean;
  /** `length`: with padding. */
  onDataBegin(stream: number, length: number): void;
  onDataPiece(piece: Buffer): void;
  onDataEnd(endStream: boolean): void;
  onSettings(payload: Buffer): void;
  onSettingsAcknowledged(): void;
  onPing(opaque: Buffer, acknowledged: boolean): void;
  onGoaway(lastStream: number, code: number): void;
  onWindowUpdate(stream: number, bytes: number): void;
  onReset(stream: number, code: number): void;
  /** A frame that means nothing to us. */
  onIdleFrame(): void;
  /** A stream whose frame was not what it must be (RFC 9113 5.4.2). */
  onStreamFault(stream: number, code: number, message: string): void;
}

const SIZE = {
  priority: 5,
  reset: 4,
  ping: 8,
  goaway: 8,
  windowUpdate: 4,
} as const;

export class FrameDispatcher implements FrameSink {
  readonly #handler: FrameHandler;
  readonly #blocks: HeaderBlockReader;
  /** The peer's SETTINGS come first (RFC 9113 3.4). */
  #begun = false;
  /** Frames and header blocks that have come whole; of DATA, those that have begun. */
  completed = 0;
  #dataFlags = 0;

  constructor(handler: FrameHandler, headerBytes: number) {
    this.#handler = handler;
    this.#blocks = new HeaderBlockReader(handler, headerBytes);
  }

  get deaf(): boolean {
    return this.#handler.deaf;
  }

  /** A header block has come in part. */
  get inBlock(): boolean {
    return this.#blocks.inBlock;
  }

  onDataBegin(stream: number, flags: number, length: number): void {
    this.#checkPlace(false);
    if (stream === 0) throw new ConnectionFault(PROTOCOL_ERROR, "DATA without a stream");
    this.#dataFlags = flags;
    this.completed++;
    this.#handler.onDataBegin(stream, length);
  }

  onDataPiece(piece: Buffer): void {
    this.#handler.onDataPiece(piece);
  }

  onDataEnd(): void {
    this.#handler.onDataEnd((this.#dataFlags & END_STREAM) !== 0);
  }

  onFrame(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === CONTINUATION) this.#blocks.onContinuation(flags, stream, payload);
    else {
      this.#checkPlace(type === SETTINGS);
      if (type === HEADERS) this.#blocks.onHeaders(flags, stream, payload);
      else if (type === WINDOW_UPDATE) this.#windowUpdate(stream, payload);
      else if (type === RST_STREAM) this.#reset(stream, payload);
      else if (type === SETTINGS) this.#settings(flags, stream, payload);
      else if (type === PING) this.#ping(flags, stream, payload);
      else if (type === GOAWAY) this.#goaway(stream, payload);
      else if (type === PRIORITY) this.#priority(stream, payload);
      else if (type === PUSH_PROMISE) throw new ConnectionFault(PROTOCOL_ERROR, "a push");
      // RFC 9113 4.1: what is unknown is ignored.
      else this.#handler.onIdleFrame();
    }
    if (!this.#blocks.inBlock) this.completed++;
  }

  #checkPlace(isSettings: boolean): void {
    if (!this.#begun && !isSettings) {
      throw new ConnectionFault(PROTOCOL_ERROR, "the first frame is not SETTINGS");
    }
    if (this.#blocks.inBlock) {
      throw new ConnectionFault(PROTOCOL_ERROR, "a frame inside a header block");
    }
  }

  #windowUpdate(stream: number, payload: Buffer): void {
    checkSize(payload, SIZE.windowUpdate, "WINDOW_UPDATE");
    const bytes = payload.readUInt32BE(0) & 0x7fff_ffff;
    if (bytes > 0) this.#handler.onWindowUpdate(stream, bytes);
    else if (stream === 0) throw new ConnectionFault(PROTOCOL_ERROR, "WINDOW_UPDATE of nothing");
    else this.#handler.onStreamFault(stream, PROTOCOL_ERROR, "WINDOW_UPDATE of nothing");
  }

  #reset(stream: number, payload: Buffer): void {
    checkSize(payload, SIZE.reset, "RST_STREAM");
    if (stream === 0) throw new ConnectionFault(PROTOCOL_ERROR, "RST_STREAM without a stream");
    this.#handler.onReset(stream, payload.readUInt32BE(0));
  }

  #settings(flags: number, stream: number, payload: Buffer): void {
    if (stream !== 0) throw new ConnectionFault(PROTOCOL_ERROR, "SETTINGS of a stream");
    if ((flags & ACK) === 0) {
      this.#begun = true;
      this.#handler.onSettings(payload);
      return;
    }
    checkSize(payload, 0, "SETTINGS");
    if (!this.#begun) throw new ConnectionFault(PROTOCOL_ERROR, "the first SETTINGS are ACK");
    this.#handler.onSettingsAcknowledged();
  }

  #ping(flags: number, stream: number, payload: Buffer): void {
    if (stream !== 0) throw new ConnectionFault(PROTOCOL_ERROR, "PING of a stream");
    checkSize(payload, SIZE.ping, "PING");
    this.#handler.onPing(payload, (flags & ACK) !== 0);
  }

  #goaway(stream: number, payload: Buffer): void {
    if (stream !== 0) throw new ConnectionFault(PROTOCOL_ERROR, "GOAWAY of a stream");
    if (payload.length < SIZE.goaway) throw new ConnectionFault(FRAME_SIZE_ERROR, "GOAWAY");
    this.#handler.onGoaway(payload.readUInt32BE(0) & 0x7fff_ffff, payload.readUInt32BE(4));
  }

  /** Priorities are not heeded (RFC 9113 5.3.2), but must be well formed. */
  #priority(stream: number, payload: Buffer): void {
    if (stream === 0) throw new ConnectionFault(PROTOCOL_ERROR, "PRIORITY without a stream");
    this.#handler.onIdleFrame();
    checkSize(payload, SIZE.priority, "PRIORITY");
    checkDependency(payload, 0, stream);
  }
}

function checkSize(payload: Buffer, bytes: number, name: string): void {
  if (payload.length === bytes) return;
  throw new ConnectionFault(FRAME_SIZE_ERROR, `${name} of another size`);
}
