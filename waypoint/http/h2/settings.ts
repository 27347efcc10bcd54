/** SETTINGS: what we say, and what a peer may (RFC 9113 6.5). */
import {
  ConnectionFault,
  DEFAULT_WINDOW_BYTES,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  MAX_FRAME_BYTES,
  MAX_WINDOW_BYTES,
  PROTOCOL_ERROR,
} from "./frames.ts";

/** Identifiers, RFC 9113 6.5.2. */
export const HEADER_TABLE_SIZE = 1;
export const ENABLE_PUSH = 2;
export const MAX_CONCURRENT_STREAMS = 3;
export const INITIAL_WINDOW_SIZE = 4;
const MAX_FRAME_SIZE = 5;
export const MAX_HEADER_LIST_SIZE = 6;

const LARGEST_FRAME_BYTES = 2 ** 24 - 1;
const PAIR_BYTES = 6;
const DEFAULT_HEADER_TABLE_BYTES = 4_096;

/** What the peer has said last; we never send frames longer than the least that it may say. */
export class PeerSettings {
  headerTableBytes = DEFAULT_HEADER_TABLE_BYTES;
  /** The least that it was since the SETTINGS before. */
  #leastHeaderTableBytes = DEFAULT_HEADER_TABLE_BYTES;
  initialWindowBytes = DEFAULT_WINDOW_BYTES;
  /** Undefined: it has not said. */
  concurrentStreams: number | undefined;

  /** What the last SETTINGS made of the table: the least in between, and what it is now. */
  get headerTableSizes(): readonly number[] {
    return [this.#leastHeaderTableBytes, this.headerTableBytes];
  }

  /** `fromServer`: who must not speak of pushes but to rule them out. Throws ConnectionFault. */
  apply(payload: Buffer, fromServer: boolean): void {
    if (payload.length % PAIR_BYTES !== 0) {
      throw new ConnectionFault(FRAME_SIZE_ERROR, "SETTINGS of half a setting");
    }
    this.#leastHeaderTableBytes = this.headerTableBytes;
    for (let at = 0; at < payload.length; at += PAIR_BYTES) {
      this.#take(payload.readUInt16BE(at), payload.readUInt32BE(at + 2), fromServer);
    }
  }

  #take(id: number, value: number, fromServer: boolean): void {
    if (id === HEADER_TABLE_SIZE) {
      this.headerTableBytes = value;
      this.#leastHeaderTableBytes = Math.min(this.#leastHeaderTableBytes, value);
    } else if (id === MAX_CONCURRENT_STREAMS) this.concurrentStreams = value;
    else if (id === INITIAL_WINDOW_SIZE) {
      if (value > MAX_WINDOW_BYTES) throw new ConnectionFault(FLOW_CONTROL_ERROR, "a window");
      this.initialWindowBytes = value;
    } else if (id === ENABLE_PUSH) {
      if (value > (fromServer ? 0 : 1)) throw new ConnectionFault(PROTOCOL_ERROR, "ENABLE_PUSH");
    } else if (id === MAX_FRAME_SIZE) {
      const valid = value >= MAX_FRAME_BYTES && value <= LARGEST_FRAME_BYTES;
      if (!valid) throw new ConnectionFault(PROTOCOL_ERROR, "MAX_FRAME_SIZE");
    }
  }
}
