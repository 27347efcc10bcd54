/** An API server of tests that switches to WebSocket, by hand of the package ws. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import type { KubeConnection } from "./kube-connection.ts";

export interface StreamServer extends AsyncDisposable {
  readonly connection: KubeConnection;
  /** The paths with queries that were asked for. */
  readonly asked: string[];
}

export interface StreamServerOptions {
  readonly protocol?: string;
  readonly onSocket?: (socket: WebSocket, request: IncomingMessage) => void;
  readonly onRequest?: (request: IncomingMessage, response: ServerResponse) => void;
}

/** Takes the subprotocol `protocol` where it is offered; other requests are 404. */
export async function startStreamServer(options: StreamServerOptions): Promise<StreamServer> {
  const { protocol = "v4.channel.k8s.io", onSocket, onRequest } = options;
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    if (onRequest !== undefined) onRequest(request, response);
    else response.writeHead(404).end("not here");
  });
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => (offered.has(protocol) ? protocol : false),
  });
  server.on("upgrade", (request, socket, head) => {
    asked.push(request.url ?? "");
    if (onSocket === undefined) {
      socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nforbidden");
      return;
    }
    sockets.handleUpgrade(request, socket, head, (peer) => onSocket(peer, request));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    asked,
    connection: {
      server: new URL(`http://127.0.0.1:${port}`),
      tls: async () => ({ rejectUnauthorized: true }),
      headers: async () => ({ authorization: "Bearer test" }),
      refused: async () => false,
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
