/**
 * A connection that speaks in frames: how it begins, what is said on it as a whole, and how it
 * ends (RFC 9113 3.4, 5.4.1, 6.5, 6.7, 6.8). Streams are in `connection.ts`.
 */
import type { End, EndEvents } from "#common/transport/end.ts";
import type { CodecLimits } from "../engine.ts";
import { ExchangeError } from "../exchange.ts";
import { Deadline } from "../h1/deadlines.ts";
import { ownBytes } from "../h1/head-buffer.ts";
import { DISCARDED_REQUEST_BYTES, LINGER_MS } from "../limits.ts";
import { FloodGuard } from "./flood-guard.ts";
import { FrameDispatcher, type FrameHandler } from "./frame-dispatcher.ts";
import { FrameReader } from "./frame-reader.ts";
import {
  ACK,
  COMPRESSION_ERROR,
  ConnectionFault,
  DEFAULT_WINDOW_BYTES,
  ENHANCE_YOUR_CALM,
  INTERNAL_ERROR,
  PREFACE,
  SETTINGS_TIMEOUT,
} from "./frames.ts";
import { HpackError } from "./hpack/decoder.ts";
import { CONNECTION_WINDOW_BYTES, SETTINGS_ACK_MS, STREAM_WINDOW_BYTES } from "./limits.ts";
import { type FlushListener, Output } from "./output.ts";
import {
  ENABLE_PUSH,
  INITIAL_WINDOW_SIZE,
  MAX_CONCURRENT_STREAMS,
  MAX_HEADER_LIST_SIZE,
  PeerSettings,
} from "./settings.ts";

const NOTHING = new Uint8Array(0);

/** `lingering`: we have ended it, the peer has not yet. */
type Phase = "open" | "lingering" | "closed";

export abstract class FramedConnection implements EndEvents, FrameHandler, FlushListener {
  protected readonly limits: CodecLimits;
  protected readonly output: Output;
  protected readonly guard = new FloodGuard();
  protected readonly peer = new PeerSettings();
  /** Without a stream, or when we have ended it, or while the peer reads nothing. */
  readonly #idle = new Deadline({ onDeadline: () => this.#onIdleDeadline() });
  /** What the peer did that is not HTTP/2. */
  protected fault: Error | undefined;
  readonly #end: End;
  readonly #reader: FrameReader;
  readonly #dispatcher: FrameDispatcher;
  readonly #isServer: boolean;
  /** Of the peer's SETTINGS, then of its word on ours. */
  readonly #handshake = new Deadline({ onDeadline: () => this.#onHandshakeDeadline() });
  /** Of a header block: most come at once. */
  #block: Deadline | undefined;
  #phase: Phase = "open";
  #cut: ExchangeError | undefined;
  #acknowledged = false;
  #greeted = false;
  #inBlock = false;
  /** What had been whole when the deadline of a header block was set. */
  #completed = 0;
  /** The end waits for `resume`. */
  #paused = false;
  #discarded = 0;

  constructor(end: End, limits: CodecLimits, isServer: boolean) {
    this.#end = end;
    this.limits = limits;
    this.#isServer = isServer;
    this.output = new Output(end, this);
    this.#dispatcher = new FrameDispatcher(this, limits.headerBytes);
    this.#reader = new FrameReader(this.#dispatcher, isServer);
  }

  get deaf(): boolean {
    return this.#phase !== "open";
  }

  destroy(): void {
    this.cut(new ExchangeError("reset", "the connection was closed"));
  }

  onData(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    const bytes = ownBytes(chunk, release);
    if (this.deaf) return this.#discard(bytes.length);
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (error instanceof ConnectionFault) this.fail(error.code, error.message);
      else if (error instanceof HpackError) this.fail(COMPRESSION_ERROR, error.message);
      else {
        // What is left of the chunk is lost: nothing more can be read.
        this.fail(INTERNAL_ERROR, "");
        throw error;
      }
    }
    this.afterRead();
    this.#watchBlock();
    this.#paused = this.output.overwhelmed && !this.deaf;
    if (this.#paused) this.#idle.set(this.limits.bodyTimeoutMs);
    return !this.#paused;
  }

  /** Whoever sends no more frames has left. */
  onEnd(): void {
    if (!this.deaf) this.shut(new ExchangeError("reset", "the peer left"));
  }

  onDrain(): void {
    this.output.drained();
    if (!this.deaf) this.onRoom();
    if (!this.#paused) return;
    this.#paused = false;
    this.watchIdle();
    this.#end.resume();
  }

  onClosed(error: Error | undefined): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#closeDeadlines();
    const why = this.#cut ?? new ExchangeError("reset", error?.message ?? "the peer left");
    this.onLost(why, this.#cut !== undefined);
  }

  onSettings(payload: Buffer): void {
    this.guard.onIdleFrame();
    this.peer.apply(payload, !this.#isServer);
    this.output.acknowledgeSettings();
    if (!this.#greeted) {
      this.#greeted = true;
      if (this.#acknowledged) this.#handshake.close();
      else this.#handshake.set(SETTINGS_ACK_MS);
    }
    this.onPeerSettings();
  }

  onSettingsAcknowledged(): void {
    if (this.#acknowledged) this.guard.onIdleFrame();
    this.#acknowledged = true;
    if (this.#greeted) this.#handshake.close();
  }

  onPing(opaque: Buffer, acknowledged: boolean): void {
    this.guard.onIdleFrame();
    if (acknowledged) this.onPong();
    else this.output.ping(ACK, opaque);
  }

  onIdleFrame(): void {
    this.guard.onIdleFrame();
  }

  /** How long nothing may be under way; undefined while something is. */
  protected allowIdle(afterMs: number | undefined): void {
    if (this.#paused || this.deaf) return;
    if (afterMs === undefined) this.#idle.clear();
    else this.#idle.set(afterMs);
  }

  /** Begins to read, and says our SETTINGS. */
  protected begin(): void {
    const { concurrentStreams, headerBytes } = this.limits;
    const { output } = this;
    if (!this.#isServer) output.preface(PREFACE);
    output.settings([
      [ENABLE_PUSH, 0],
      [MAX_CONCURRENT_STREAMS, concurrentStreams],
      [INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES],
      [MAX_HEADER_LIST_SIZE, headerBytes],
    ]);
    output.windowUpdate(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
    this.#handshake.set(this.#isServer ? this.limits.headersTimeoutMs : SETTINGS_ACK_MS);
    this.watchIdle();
    this.#end.start(this);
  }

  /** RFC 9113 5.4.1: the connection ends, and the peer is told why. */
  protected fail(code: number, message: string): void {
    if (this.deaf) return;
    this.fault ??= new Error(message);
    this.output.goaway(this.lastPeerStream, code, message);
    this.shut(new ExchangeError("protocol", message));
  }

  /** Ends our direction, and gives the peer a while to end its own. */
  protected shut(why: ExchangeError): void {
    if (this.deaf) return;
    this.#phase = "lingering";
    this.#closeDeadlines();
    this.output.flush();
    this.onShut(why);
    this.output.close();
    this.#linger();
    this.#end.shutdown();
    if (this.#paused) this.#end.resume();
    this.#paused = false;
  }

  /** Resets the connection; exchanges hear of `why`. */
  protected cut(why: ExchangeError): void {
    if (this.#phase === "closed") return;
    this.#cut ??= why;
    this.#phase = "lingering";
    this.output.close();
    this.#end.reset();
  }

  /** Of the streams that the peer opened, the last that we know. */
  protected abstract get lastPeerStream(): number;
  protected abstract watchIdle(): void;
  /** A chunk has been read. */
  protected abstract afterRead(): void;
  /** More can be sent. */
  protected abstract onRoom(): void;
  protected abstract onPong(): void;
  protected abstract onPeerSettings(): void;
  /** Nothing has been under way for long. */
  protected abstract onIdle(): void;
  /** It ends, and whatever is under way with it. */
  protected abstract onShut(why: ExchangeError): void;
  /** It is gone. `byUs`: nothing of it is wanted any more. */
  protected abstract onLost(why: ExchangeError, byUs: boolean): void;
  abstract onFlushed(): void;
  abstract onDataBegin(stream: number, length: number): void;
  abstract onDataPiece(piece: Buffer): void;
  abstract onDataEnd(endStream: boolean): void;
  abstract onBlock(stream: number, block: Buffer, endStream: boolean): void;
  abstract onGoaway(lastStream: number, code: number): void;
  abstract onWindowUpdate(stream: number, bytes: number): void;
  abstract onReset(stream: number, code: number): void;
  abstract onStreamFault(stream: number, code: number, message: string): void;

  /** Who reads slowly what it is owed gets the time; who is at fault, and who is done, does not. */
  #linger(): void {
    this.#idle.set(this.fault === undefined ? this.limits.bodyTimeoutMs : LINGER_MS);
    this.#end.write(NOTHING, () => {
      if (this.#phase === "lingering") this.#idle.set(LINGER_MS);
    });
  }

  #discard(byteCount: number): boolean {
    this.#discarded += byteCount;
    if (this.#discarded > DISCARDED_REQUEST_BYTES) this.destroy();
    return true;
  }

  #watchBlock(): void {
    const inBlock = this.#dispatcher.inBlock || this.#reader.inFrame;
    const { completed } = this.#dispatcher;
    const isNew = inBlock && completed !== this.#completed;
    if ((inBlock === this.#inBlock && !isNew) || this.deaf) return;
    this.#inBlock = inBlock;
    this.#completed = completed;
    if (!inBlock) {
      this.#block?.clear();
      return;
    }
    this.#block ??= new Deadline({ onDeadline: () => this.#onBlockDeadline() });
    this.#block.set(this.limits.headersTimeoutMs);
  }

  #onBlockDeadline(): void {
    this.fail(ENHANCE_YOUR_CALM, "a header took too long");
  }

  #onHandshakeDeadline(): void {
    this.fail(SETTINGS_TIMEOUT, this.#greeted ? "SETTINGS not acknowledged" : "no SETTINGS");
  }

  #onIdleDeadline(): void {
    if (this.deaf) this.destroy();
    else if (this.#paused) this.cut(new ExchangeError("timeout", "the peer reads nothing"));
    else this.onIdle();
  }

  #closeDeadlines(): void {
    this.#handshake.close();
    this.#block?.close();
    if (this.#phase === "closed") this.#idle.close();
  }
}
