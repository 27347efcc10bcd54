/** The answer to CONNECT. */
import http2, { type ServerHttp2Stream } from "node:http2";

/** Istio's ztunnel sends no date either. */
const UNDATED = { endStream: false, sendDate: false };

/** With 200 the stream is open for bytes; with anything else it is over. */
export function answerConnect(
  stream: ServerHttp2Stream,
  status: number,
  baggage: string | undefined,
): void {
  if (stream.destroyed || stream.closed) return;
  const headers = [":status", `${status}`];
  if (baggage !== undefined) headers.push("baggage", baggage);
  if (status === 200) {
    stream.respond(headers, UNDATED);
    return;
  }
  // Refused in both directions: once the answer is out, what the client still sends is not read.
  stream.once("finish", () => {
    setImmediate(() => stream.close(http2.constants.NGHTTP2_NO_ERROR));
  });
  stream.respond(headers, { ...UNDATED, endStream: true });
}
