/** One stream, and the exchange on it: what both ends do alike. */
import { ExchangeError } from "../exchange.ts";
import type { HeaderList } from "../header-list.ts";
import { ByteQueue, EMPTY_QUEUE } from "./byte-queue.ts";
import { REFUSED_STREAM } from "./frames.ts";
import { SEND_QUEUE_BYTES, SEND_QUEUE_LOW_BYTES, STREAM_WINDOW_BYTES } from "./limits.ts";
import type { SendingStream } from "./sender.ts";

export interface StreamEvents {
  onData(chunk: Uint8Array): boolean;
  onEnd(trailers: HeaderList | undefined): void;
  onDrain(): void;
  onClosed(error: ExchangeError | undefined): void;
}

/** What a stream needs of its connection. */
export interface StreamOwner {
  writeBody(stream: H2Stream, chunk: Uint8Array): void;
  endBody(stream: H2Stream): void;
  /** Bytes of a body wait for who reads them, or no longer do. */
  hold(bytes: number): void;
  /** Bytes have been taken: so many more may come. */
  giveCredit(stream: H2Stream, bytes: number): void;
  /** The consumer has been told of the peer's end. */
  onEndTold(stream: H2Stream): void;
}

export abstract class H2Stream implements SendingStream {
  /** 0 where it has not begun. */
  id = 0;
  sendWindow = 0;
  isInLine = false;
  isEnding = false;
  trailersToSend: HeaderList | undefined;
  queue = EMPTY_QUEUE;
  /** What may still come before the window is given back, and what has been taken since. */
  receiveWindow = STREAM_WINDOW_BYTES;
  credit = 0;
  /** The peer has said all; so have we, and it has left. */
  remoteEnded = false;
  localEnded = false;
  /** The consumer has heard the peer's end. */
  endTold = false;
  /** What `content-length` said, -1 where it said nothing, and what of it has come. */
  expectedBytes = -1;
  receivedBytes = 0;
  /** DATA may come. */
  takesBody = true;
  /** Nothing is sent or delivered any more. */
  isMute = false;
  /** Why, where it was not because all was said. */
  error: ExchangeError | undefined;
  protected readonly owner: StreamOwner;
  #events: StreamEvents | undefined;
  #trailers: HeaderList | undefined;
  #held: ByteQueue | undefined;
  #paused = false;
  #delivering = false;
  #awaitsDrain = false;
  #closed = false;

  constructor(owner: StreamOwner) {
    this.owner = owner;
  }

  /** The consumer takes no more for now. */
  get paused(): boolean {
    return this.#paused || this.#events === undefined;
  }

  /** Both sides have said all, as far as the connection goes. */
  get isOver(): boolean {
    return this.remoteEnded && this.localEnded;
  }

  start(events: StreamEvents): void {
    if (this.#events !== undefined) return;
    this.#events = events;
    if (this.#closed) {
      const { error } = this;
      setImmediate(() => events.onClosed(error));
      return;
    }
    this.#deliver();
    this.#tellDrain();
  }

  resume(): void {
    this.#paused = false;
    this.#deliver();
    this.watch();
  }

  write(chunk: Uint8Array): boolean {
    if (this.isMute) return false;
    if (this.isEnding || chunk.length === 0) return true;
    this.owner.writeBody(this, chunk);
    this.#awaitsDrain = this.queue.length >= SEND_QUEUE_BYTES;
    return !this.#awaitsDrain;
  }

  end(trailers?: HeaderList): void {
    if (this.isMute || this.isEnding) return;
    this.isEnding = true;
    this.trailersToSend = trailers;
    this.owner.endBody(this);
  }

  onSent(_bytes: number): void {
    this.#tellDrain();
  }

  /** Bytes of the peer's body. */
  receive(piece: Buffer): void {
    if (this.isMute) return;
    if (this.paused || this.#delivering || this.#isHolding) {
      this.#held ??= new ByteQueue();
      this.#held.append(piece);
      this.owner.hold(piece.length);
    } else this.#tell(piece);
  }

  /** The peer has said all. */
  receiveEnd(trailers: HeaderList | undefined): void {
    this.remoteEnded = true;
    this.#trailers = trailers;
    this.#deliver();
  }

  /** Nothing more is sent; what has come is delivered, and `error` told then. */
  mute(error: ExchangeError): void {
    this.error ??= error;
    this.queue = EMPTY_QUEUE;
    this.isEnding = true;
    this.localEnded = true;
  }

  /** Nothing more is sent, and nothing more delivered; `tellClosed` is to follow. */
  silence(error: ExchangeError | undefined): void {
    if (this.isMute) return;
    this.isMute = true;
    this.error ??= error;
    this.queue = EMPTY_QUEUE;
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.owner.hold(-held.length);
  }

  /** The last call that the consumer gets. */
  tellClosed(): void {
    if (this.#closed) return;
    this.silence(undefined);
    this.#closed = true;
    this.onOver();
    this.#events?.onClosed(this.error);
  }

  /** Sets the deadline that its state asks for. */
  abstract watch(): void;

  /** It is over; its consumer is about to hear it. */
  protected abstract onOver(): void;

  get #isHolding(): boolean {
    return this.#held !== undefined && this.#held.length > 0;
  }

  #deliver(): void {
    const held = this.#held;
    if (this.#delivering || this.isMute) return;
    this.#delivering = true;
    while (held !== undefined && held.length > 0 && !this.paused && !this.isMute) {
      const piece = held.take(held.length);
      this.owner.hold(-piece.length);
      this.#tell(piece);
    }
    this.#delivering = false;
    if (this.remoteEnded && !this.#isHolding && !this.isMute) this.#tellEnd();
  }

  /** Who has not started yet hears it then. */
  #tellDrain(): void {
    const waits = this.#awaitsDrain && this.#events !== undefined;
    if (!waits || this.queue.length > SEND_QUEUE_LOW_BYTES) return;
    this.#awaitsDrain = false;
    if (!this.isMute && !this.isEnding) this.#events?.onDrain();
  }

  #tell(piece: Uint8Array): void {
    const more = this.#events?.onData(piece) ?? true;
    if (!more) this.#paused = true;
    if (!this.isMute) this.owner.giveCredit(this, piece.length);
  }

  #tellEnd(): void {
    const events = this.#events;
    if (this.endTold || events === undefined) return;
    this.endTold = true;
    events.onEnd(this.#trailers);
    if (!this.isMute) this.owner.onEndTold(this);
  }
}

export function endedEarly(code: number): ExchangeError {
  if (code === REFUSED_STREAM) return new ExchangeError("not-sent", "stream refused");
  return new ExchangeError("reset", `HTTP/2 stream ended early, code ${code}`);
}
