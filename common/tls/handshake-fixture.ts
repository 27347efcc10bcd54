/** For tests: two ends of mutual TLS as proxies make them, over real sockets. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after } from "node:test";
import tls, { type ConnectionOptions, type TLSSocket, type TlsOptions } from "node:tls";
import type { TrustDomains } from "#common/model/identity.ts";
import { TEST_IDENTITY, TestAuthority } from "./authority-fixture.ts";
import {
  createWorkloadSecureContext,
  mtlsClientOptions,
  mtlsServerOptions,
} from "./mtls-options.ts";
import {
  describeHandshakeFailure,
  type PeerVerdict,
  verifyClientPeer,
  verifyServerPeer,
} from "./verify-peer.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";

export const TD = "cluster.local";
export const EXPECTED = new Set([TEST_IDENTITY.uri]);

export const ca = TestAuthority.root();
export const good = ca.workload();
const cleanUps: (() => void)[] = [];
after(() => {
  for (const cleanUp of cleanUps) cleanUp();
});

/** What both ends concluded, and whether any application byte reached the server. */
export interface Outcome {
  readonly client: PeerVerdict;
  readonly server: PeerVerdict;
  readonly clientSocket: TLSSocket;
  readonly received: string;
}

export interface Ends {
  readonly server?: WorkloadCertificate;
  readonly client?: WorkloadCertificate;
  readonly serverOptions?: TlsOptions;
  readonly clientOptions?: ConnectionOptions;
  readonly expected?: ReadonlySet<string>;
  /** Of both ends. @default TD alone */
  readonly trustDomains?: TrustDomains;
}

export async function listen(options: TlsOptions): Promise<tls.Server> {
  const server = tls.createServer(options);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanUps.push(() => server.close());
  return server;
}

/** Connects as a proxy does; the client sends "hello" as soon as it trusts the server. */
export async function connect(ends: Ends): Promise<Outcome> {
  const server = await listen({ ...mtlsServerOptions(ends.server ?? good), ...ends.serverOptions });
  const result = await connectTo(server, ends);
  server.close();
  return result;
}

export async function connectTo(server: tls.Server, ends: Ends): Promise<Outcome> {
  let received = "";
  const { expected = EXPECTED, trustDomains = [TD] } = ends;
  const atServer = new Promise<PeerVerdict>((resolve) => {
    server.once("secureConnection", (socket: TLSSocket) => {
      socket.on("error", () => socket.destroy());
      const verdict = verifyClientPeer(socket, trustDomains);
      if (!verdict.ok) socket.destroy();
      socket.on("data", (bytes) => {
        received += bytes;
      });
      socket.on("end", () => socket.end());
      resolve(verdict);
    });
    server.once("tlsClientError", (error, socket) =>
      resolve(describeHandshakeFailure(error, socket)),
    );
  });
  const context = createWorkloadSecureContext(ends.client ?? good);
  const clientSocket = tls.connect({
    ...mtlsClientOptions(context, expected, trustDomains),
    ...ends.clientOptions,
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
  });
  const closed = new Promise((resolve) => clientSocket.once("close", resolve));
  const client = await new Promise<PeerVerdict>((resolve) => {
    clientSocket.once("secureConnect", () => {
      const verdict = verifyServerPeer(clientSocket, expected, trustDomains);
      if (verdict.ok) clientSocket.end("hello");
      else clientSocket.destroy();
      resolve(verdict);
    });
    clientSocket.on("error", (error) => resolve(describeHandshakeFailure(error)));
  });
  const concluded = await atServer;
  clientSocket.resume();
  await closed;
  return { client, server: concluded, clientSocket, received };
}

export function refused(verdict: PeerVerdict, reason: string, text: RegExp): void {
  assert.ok(!verdict.ok, "should have been refused");
  assert.equal(verdict.reason, reason);
  assert.match(verdict.message, text);
}
