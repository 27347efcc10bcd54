/** What HTTP/2 is made of on the wire. Source: RFC 9113 4.1, 6 and 7. */
import type { ExchangeErrorCode } from "../exchange.ts";

/** RFC 9113 3.4: what a client says first. */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** RFC 9113 4.1. */
export const FRAME_HEADER_BYTES = 9;

/** RFC 9113 6.5.2: SETTINGS_MAX_FRAME_SIZE, where nothing else is said; we never say more. */
export const MAX_FRAME_BYTES = 16_384;

/** RFC 9113 6.9.2: of a connection, and of a stream where SETTINGS say nothing else. */
export const DEFAULT_WINDOW_BYTES = 65_535;

/** RFC 9113 6.9.1. */
export const MAX_WINDOW_BYTES = 0x7fff_ffff;

/** RFC 9113 5.1.1: ids have 31 bits. */
export const MAX_STREAM_ID = 0x7fff_ffff;

/** Types, RFC 9113 6. */
export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

/** Flags, RFC 9113 6.1, 6.2, 6.5, 6.7. */
export const ACK = 0x1;
export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;
export const WITH_PRIORITY = 0x20;

/** Error codes, RFC 9113 7. */
export const NO_ERROR = 0;
export const PROTOCOL_ERROR = 1;
export const INTERNAL_ERROR = 2;
export const FLOW_CONTROL_ERROR = 3;
export const SETTINGS_TIMEOUT = 4;
export const STREAM_CLOSED = 5;
export const FRAME_SIZE_ERROR = 6;
export const REFUSED_STREAM = 7;
export const CANCEL = 8;
export const COMPRESSION_ERROR = 9;
export const ENHANCE_YOUR_CALM = 11;

/** How a peer is told what became of an exchange. */
export const RESET_CODES: Readonly<Record<ExchangeErrorCode, number>> = {
  "not-sent": REFUSED_STREAM,
  reset: INTERNAL_ERROR,
  protocol: PROTOCOL_ERROR,
  limit: ENHANCE_YOUR_CALM,
  timeout: CANCEL,
};

/** RFC 9113 5.4.1: what a peer did ends the connection. */
export class ConnectionFault extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = "ConnectionFault";
    this.code = code;
  }
}
