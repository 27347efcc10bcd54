/** For tests: a server that speaks HTTP/2 and TLS well, and gRPC in whatever way a test wants. */
import { once } from "node:events";
import http2, { type Http2SecureServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { SERVER_NAME } from "./delta-test-client.ts";
import { makeServerIdentity } from "./delta-test-server.ts";
import { type DeltaDiscoveryResponse, deltaAggregatedResources } from "./discovery-rpc.ts";

/** What becomes of the streams, by their number from 0 on. */
export type Behaviour = (stream: ServerHttp2Stream, number: number) => void;

export const identity = makeServerIdentity(SERVER_NAME);

export class HostileServer {
  port = 0;
  /** Streams that were opened so far. */
  streams = 0;
  readonly #server: Http2SecureServer;
  readonly #sessions = new Set<http2.ServerHttp2Session>();

  private constructor(behave: Behaviour) {
    this.#server = http2.createSecureServer({
      cert: identity.certificatePem,
      key: identity.privateKeyPem,
    });
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("error", () => undefined);
      session.once("close", () => this.#sessions.delete(session));
    });
    this.#server.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => undefined);
      behave(stream, this.streams++);
    });
  }

  static async start(behave: Behaviour): Promise<HostileServer> {
    const server = new HostileServer(behave);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    server.port = (server.#server.address() as AddressInfo).port;
    return server;
  }

  kill(): void {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
  }
}

export function begin(stream: ServerHttp2Stream, headers: Record<string, string> = {}): void {
  stream.respond({ "content-type": "application/grpc", ...headers });
}

/** A gRPC frame (gRPC over HTTP/2, "Length-Prefixed-Message"); the flag says compressed. */
export function frame(message: Uint8Array, { length = message.length, flag = 0 } = {}): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

export function response(fields: Partial<DeltaDiscoveryResponse> & { typeUrl: string }): Buffer {
  const message = { nonce: "n", systemVersionInfo: "", resources: [], removedResources: [] };
  return frame(deltaAggregatedResources.responseSerialize({ ...message, ...fields }));
}
