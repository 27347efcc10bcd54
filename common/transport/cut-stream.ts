/** Ending an HTTP/2 stream so that its peer sees that it was cut. */
import type { Http2Stream } from "node:http2";

/** Sends RST_STREAM with this code, once, and nothing before it. */
export function cutStream(stream: Http2Stream, code: number): void {
  if (stream.closed) return;
  // close() ends the writable side first: END_STREAM ahead of RST_STREAM would say that all was
  // sent.
  stream._final = (done) => done();
  stream.close(code);
}
