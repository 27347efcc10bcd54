/** HTTP/2 over any connection (RFC 9113), of our own. */
import type { HttpCodec } from "../engine.ts";
import { H2ClientConnection } from "./client-connection.ts";
import { H2ServerConnection } from "./server-connection.ts";

export const http2Codec: HttpCodec = {
  name: "h2",
  serve: (wire, limits, handlers) => new H2ServerConnection(wire.asEnd(), limits, handlers),
  connect: (wire, limits, handlers) => new H2ClientConnection(wire.asEnd(), limits, handlers),
};
