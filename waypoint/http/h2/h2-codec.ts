/** HTTP/2 over any connection, on node:http2. */
import type { HttpCodec } from "../engine.ts";
import { connectHttp2 } from "./h2-client.ts";
import { serveHttp2 } from "./h2-server.ts";

export const http2Codec: HttpCodec = {
  name: "h2",
  serve: serveHttp2,
  connect: connectHttp2,
};
