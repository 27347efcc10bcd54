/** The streams of a connection: their states, bodies and ends (RFC 9113 5 and 6.9). */
import type { End } from "#common/transport/end.ts";
import type { CodecLimits } from "../engine.ts";
import { ExchangeError, type ExchangeErrorCode } from "../exchange.ts";
import type { HeaderList } from "../header-list.ts";
import { ClosedStreams, type StreamEnd } from "./closed-streams.ts";
import { FramedConnection } from "./framed-connection.ts";
import {
  ConnectionFault,
  FLOW_CONTROL_ERROR,
  MAX_WINDOW_BYTES,
  PROTOCOL_ERROR,
  RESET_CODES,
  STREAM_CLOSED,
} from "./frames.ts";
import { areTrailersValid } from "./header-validation.ts";
import { type HeaderBlock, HpackDecoder } from "./hpack/decoder.ts";
import { HpackEncoder } from "./hpack/encoder.ts";
import { STREAM_WINDOW_BYTES } from "./limits.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { Sender, type SenderOwner } from "./sender.ts";
import type { H2Stream, StreamOwner } from "./stream.ts";

/** RFC 9113 6.5.2: what a table may hold where SETTINGS say nothing of it, as ours do. */
const HEADER_TABLE_BYTES = 4_096;

export abstract class H2Connection extends FramedConnection implements StreamOwner, SenderOwner {
  protected abstract readonly streams: Map<number, H2Stream>;
  protected readonly sender: Sender;
  readonly #closed = new ClosedStreams();
  readonly #encoder = new HpackEncoder();
  readonly #decoder: HpackDecoder;
  readonly #window = new ReceiveWindow();
  #peerWindow = this.peer.initialWindowBytes;
  /** Have said all, or were cut: what follows from it waits until it has been handed over. */
  readonly #ended: (H2Stream | undefined)[] = [];
  #endedAt = 0;
  #endedCount = 0;
  /** The DATA frame that is being read. */
  #dataStream: H2Stream | undefined;
  #dataLength = 0;
  #dataBytes = 0;

  constructor(end: End, limits: CodecLimits, isServer: boolean) {
    super(end, limits, isServer);
    const { headerBytes, headerCount } = limits;
    this.#decoder = new HpackDecoder({ tableBytes: HEADER_TABLE_BYTES, headerBytes, headerCount });
    this.sender = new Sender(this.output, this);
  }

  sendHeaders(stream: H2Stream, flat: readonly string[], endStream: boolean): void {
    this.output.headers(stream.id, this.#encoder.encode(flat), endStream);
    this.guard.onSent();
    if (endStream) this.#saidAll(stream);
  }

  writeBody(stream: H2Stream, chunk: Uint8Array): void {
    this.sender.write(stream, chunk);
  }

  endBody(stream: H2Stream): void {
    if (stream.id !== 0 && stream.queue.length === 0) this.finish(stream);
  }

  finish(stream: H2Stream): void {
    const trailers = stream.trailersToSend;
    if (trailers === undefined || trailers.size === 0) {
      this.output.endData(stream.id);
      this.#saidAll(stream);
    } else if (areTrailersValid(trailers.flat)) this.sendHeaders(stream, trailers.flat, true);
    // What cannot be said in HTTP/2 must not look like a complete message.
    else this.reset(stream, "protocol", "trailers that HTTP/2 cannot carry");
  }

  /** Cuts a stream so that the peer sees it. */
  reset(stream: H2Stream, code: ExchangeErrorCode, message: string): void {
    this.#reset(stream, RESET_CODES[code], new ExchangeError(code, message));
  }

  hold(bytes: number): void {
    this.#window.hold(bytes);
    if (bytes < 0) this.#giveBack();
  }

  giveCredit(stream: H2Stream, bytes: number): void {
    stream.credit += bytes;
    if (stream.credit * 2 < STREAM_WINDOW_BYTES || stream.remoteEnded || this.deaf) return;
    this.output.windowUpdate(stream.id, stream.credit);
    stream.receiveWindow += stream.credit;
    stream.credit = 0;
  }

  onDataSent(): void {
    this.guard.onSent();
  }

  /** The list is kept for the next: it is needed for every exchange. */
  onFlushed(): void {
    while (this.#endedAt < this.#endedCount) {
      const at = this.#endedAt++;
      const stream = this.#ended[at];
      this.#ended[at] = undefined;
      // What it leads to may end others, or flush again.
      if (stream !== undefined) this.#endLocal(stream);
    }
    this.#endedAt = 0;
    this.#endedCount = 0;
  }

  onDataBegin(id: number, length: number): void {
    if (!this.#window.take(length)) throw new ConnectionFault(FLOW_CONTROL_ERROR, "too much DATA");
    const stream = this.streams.get(id);
    this.#dataLength = length;
    this.#dataBytes = 0;
    this.#dataStream = undefined;
    if (stream === undefined) this.onStray(id);
    else if (stream.remoteEnded) this.onStreamFault(id, STREAM_CLOSED, "DATA behind the end");
    else if (!stream.takesBody) this.onStreamFault(id, PROTOCOL_ERROR, "DATA before a head");
    else if (length > stream.receiveWindow) {
      this.onStreamFault(id, FLOW_CONTROL_ERROR, "more DATA than allowed");
    } else {
      stream.receiveWindow -= length;
      this.#dataStream = stream;
    }
  }

  onDataPiece(piece: Buffer): void {
    const stream = this.#dataStream;
    if (stream === undefined) return;
    this.#dataBytes += piece.length;
    stream.receivedBytes += piece.length;
    if (stream.expectedBytes < 0 || stream.receivedBytes <= stream.expectedBytes) {
      stream.receive(piece);
      return;
    }
    this.#dataStream = undefined;
    this.onStreamFault(stream.id, PROTOCOL_ERROR, "a body longer than it was said to be");
  }

  onDataEnd(endStream: boolean): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (stream !== undefined && !stream.isMute) {
      const padding = this.#dataLength - this.#dataBytes;
      if (this.#dataBytes === 0 && !endStream) this.guard.onIdleFrame();
      if (padding > 0 && !endStream) this.giveCredit(stream, padding);
      if (endStream) this.endRemote(stream, undefined);
    }
    this.#giveBack();
  }

  onBlock(id: number, bytes: Buffer, endStream: boolean): void {
    // Whatever becomes of it: the table has to stay in step.
    this.onHeaders(id, this.#decoder.decode(bytes), endStream);
  }

  onWindowUpdate(id: number, bytes: number): void {
    this.guard.onWindowUpdate();
    if (id === 0) {
      this.sender.window += bytes;
      if (this.sender.window > MAX_WINDOW_BYTES) throw WINDOW_OVERFLOW;
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isUnopened(id)) throw unopened("WINDOW_UPDATE");
      return;
    }
    stream.sendWindow += bytes;
    if (stream.sendWindow <= MAX_WINDOW_BYTES) this.sender.enqueue(stream);
    else this.onStreamFault(id, FLOW_CONTROL_ERROR, WINDOW_OVERFLOW.message);
  }

  onReset(id: number, code: number): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) this.onPeerReset(stream, code);
    else if (this.isUnopened(id)) throw unopened("RST_STREAM");
    else this.guard.onIdleFrame();
  }

  onStreamFault(id: number, code: number, message: string): void {
    const stream = this.streams.get(id);
    if (stream === undefined && this.isUnopened(id)) throw new ConnectionFault(code, message);
    this.guard.onFault();
    if (stream === undefined) this.output.resetStream(id, code);
    else this.#reset(stream, code, new ExchangeError("protocol", message));
  }

  abstract onEndTold(stream: H2Stream): void;
  /** Whether nobody has opened it yet. */
  protected abstract isUnopened(stream: number): boolean;
  protected abstract onHeaders(stream: number, block: HeaderBlock, endStream: boolean): void;
  protected abstract onPeerReset(stream: H2Stream, code: number): void;
  /** All that we had to say on it has been handed over. */
  protected abstract onLocalEnd(stream: H2Stream): void;
  /** It is no longer among `streams`. */
  protected abstract onRemoved(stream: H2Stream): void;
  /** The connection is gone, and all of its streams. */
  protected abstract onGone(): void;

  /** DATA or HEADERS of a stream that is over, or has not begun (RFC 9113 5.1). */
  protected onStray(id: number): void {
    if (this.isUnopened(id)) throw unopened("DATA or HEADERS");
    const end = this.#closed.endOf(id);
    if (end === "ended") throw new ConnectionFault(STREAM_CLOSED, "a frame of a stream that ended");
    if (end === "reset") this.onStreamFault(id, STREAM_CLOSED, "a frame of a stream reset before");
    else this.guard.onIdleFrame();
  }

  /** The peer has said all, and as many bytes as it had announced. */
  protected endRemote(stream: H2Stream, trailers: HeaderList | undefined): void {
    const { expectedBytes, receivedBytes } = stream;
    if (expectedBytes < 0 || expectedBytes === receivedBytes) stream.receiveEnd(trailers);
    else this.onStreamFault(stream.id, PROTOCOL_ERROR, "a body shorter than it was said to be");
  }

  protected remove(stream: H2Stream, end: StreamEnd): void {
    if (!this.streams.delete(stream.id)) return;
    this.#closed.add(stream.id, end);
    this.onRemoved(stream);
  }

  protected override afterRead(): void {
    this.sender.pump();
  }

  protected override onRoom(): void {
    this.sender.pump();
  }

  /** RFC 9113 6.9.2: what a stream may send changes by the difference. */
  protected override onPeerSettings(): void {
    const { initialWindowBytes } = this.peer;
    for (const bytes of this.peer.headerTableSizes) this.#encoder.setMaxTableBytes(bytes);
    const more = initialWindowBytes - this.#peerWindow;
    this.#peerWindow = initialWindowBytes;
    if (more === 0) return;
    for (const stream of this.streams.values()) {
      stream.sendWindow += more;
      if (stream.sendWindow > MAX_WINDOW_BYTES) throw WINDOW_OVERFLOW;
      this.sender.enqueue(stream);
    }
  }

  protected override onShut(why: ExchangeError): void {
    this.#closeAll(why, false);
  }

  protected override onLost(why: ExchangeError, byUs: boolean): void {
    this.#closeAll(why, byUs);
    this.onGone();
  }

  /** What is over and only waits for its reader stays, unless nobody wants it. */
  #closeAll(why: ExchangeError, unread: boolean): void {
    for (const stream of [...this.streams.values()]) {
      if (stream.isOver && !unread) continue;
      stream.silence(why);
      this.remove(stream, undefined);
      stream.tellClosed();
    }
  }

  #saidAll(stream: H2Stream): void {
    stream.isEnding = true;
    this.#endLater(stream);
  }

  #endLater(stream: H2Stream): void {
    this.#ended[this.#endedCount++] = stream;
    this.output.flushLater();
  }

  #endLocal(stream: H2Stream): void {
    if (stream.isMute) stream.tellClosed();
    // Of a connection that was cut, nothing has left.
    if (stream.isMute || this.output.closed) return;
    stream.localEnded = true;
    this.onLocalEnd(stream);
  }

  #reset(stream: H2Stream, code: number, error: ExchangeError): void {
    if (stream.isMute) return;
    stream.silence(error);
    if (stream.id !== 0 && !stream.isOver) this.output.resetStream(stream.id, code);
    this.remove(stream, undefined);
    this.#endLater(stream);
  }

  #giveBack(): void {
    const bytes = this.#window.giveBack();
    if (bytes > 0 && !this.deaf) this.output.windowUpdate(0, bytes);
  }
}

const WINDOW_OVERFLOW = new ConnectionFault(FLOW_CONTROL_ERROR, "a window beyond its limit");

function unopened(what: string): ConnectionFault {
  return new ConnectionFault(PROTOCOL_ERROR, `${what} of a stream that nobody opened`);
}
