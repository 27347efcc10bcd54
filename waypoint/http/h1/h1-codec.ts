/**
 * The engine `llhttp`: HTTP/1.1 on Node's own parser for heads and our own reading of bodies, over
 * the ends of the transport. Requests of a client are served one at a time: what it pipelines
 * waits unread, so a pipeline costs no more memory than one read.
 */
import type { Forwarder } from "../engine.ts";
import { H1ClientConnection } from "./client-connection.ts";
import { requestParser, responseParser } from "./node-parser.ts";
import { H1ServerConnection } from "./server-connection.ts";

/** Throws MeshError NODE_PARSER on a Node whose parser is not known. */
export function llhttpForwarder(): Forwarder {
  requestParser();
  responseParser();
  return {
    name: "llhttp",
    serve: (wire, limits, handlers) => new H1ServerConnection(wire.asEnd(), limits, handlers),
    connect: (wire, limits, handlers) => new H1ClientConnection(wire.asEnd(), limits, handlers),
  };
}
