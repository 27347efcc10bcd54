/**
 * An HBONE peer made of Node's own tls and http2, independent of the product: good manners or bad.
 */
import { generateKeyPairSync, type KeyObject, type X509Certificate } from "node:crypto";
import { once } from "node:events";
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import tls from "node:tls";
import { makeIdentity } from "#common/model/identity.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import {
  certificatePem,
  writeCertificate,
  writeSelfSignedCertificate,
} from "#common/tls/write-certificate.ts";

const DAY_MS = 86_400_000;

/** A certificate authority for tests, which signs anything. */
export interface TestCa {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
  readonly rootPem: string;
}

export function createTestCa(name = "test root"): TestCa {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const certificate = writeSelfSignedCertificate(
    {
      publicKey,
      subject: { organization: name },
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + DAY_MS),
      subjectAltNames: [],
      keyPurposes: [],
      basicConstraints: { ca: true },
    },
    privateKey,
  );
  return { certificate, privateKey, rootPem: certificatePem(certificate) };
}

export interface LeafOptions {
  readonly uris?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly purposes?: readonly ("clientAuth" | "serverAuth")[];
}

/** A leaf as a mesh certificate would be, with whatever is wrong in `options`. */
export function issueLeaf(
  ca: TestCa,
  identity: { trustDomain?: string; namespace: string; serviceAccount: string },
  options: LeafOptions = {},
): WorkloadCertificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const named = makeIdentity(
    identity.trustDomain ?? "cluster.local",
    identity.namespace,
    identity.serviceAccount,
  );
  const notBefore = options.notBefore ?? new Date(Date.now() - 60_000);
  const notAfter = options.notAfter ?? new Date(Date.now() + DAY_MS);
  const certificate = writeCertificate(
    {
      publicKey,
      subject: {},
      notBefore,
      notAfter,
      subjectAltNames: (options.uris ?? [named.uri]).map((value) => ({ type: "uri", value })),
      keyPurposes: options.purposes ?? ["clientAuth", "serverAuth"],
      basicConstraints: { ca: false },
    },
    ca,
  );
  return {
    identity: named,
    certChainPem: certificatePem(certificate),
    privateKeyPem: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    rootsPem: ca.rootPem,
    notBefore: notBefore.getTime(),
    notAfter: notAfter.getTime(),
    serial: certificate.serialNumber.toLowerCase(),
  };
}

export interface PeerOptions extends tls.ConnectionOptions {
  readonly host: string;
  readonly port: number;
  /** Absent: no client certificate is offered. */
  readonly certificate?: WorkloadCertificate;
  readonly localAddress?: string;
}

/** A TLS connection that has finished its handshake; rejects if the server refuses it. */
export async function connectTls(options: PeerOptions): Promise<tls.TLSSocket> {
  const { certificate, ...rest } = options;
  const socket = tls.connect({
    ALPNProtocols: ["h2"],
    rejectUnauthorized: false,
    ...(certificate && {
      cert: certificate.certChainPem,
      key: certificate.privateKeyPem,
      ca: certificate.rootsPem,
    }),
    ...rest,
  });
  await once(socket, "secureConnect");
  return socket;
}

/** An HTTP/2 session to an HBONE server; rejects if the server refuses the client. */
export async function connectHbone(options: PeerOptions): Promise<ClientHttp2Session> {
  const socket = await connectTls(options);
  const session = http2.connect("https://hbone", { createConnection: () => socket });
  session.on("error", () => undefined);
  // In TLS 1.3 a server refuses a client after the client's side of the handshake is done.
  await new Promise<void>((resolve, reject) => {
    session.once("remoteSettings", () => resolve());
    socket.once("error", (error) => reject(error));
    socket.once("close", () => reject(new Error("the server closed the connection")));
  });
  return session;
}

export interface ConnectAnswer {
  readonly status: number;
  readonly stream: ClientHttp2Stream;
  readonly headers: http2.IncomingHttpHeaders;
}

/** Sends request headers and waits for the answer's; status 0 if the stream ended without one. */
export async function request(
  session: ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
): Promise<ConnectAnswer> {
  const stream = session.request(headers, { endStream: false });
  stream.on("error", () => undefined);
  return new Promise((resolve) => {
    const answer = (received: http2.IncomingHttpHeaders): void =>
      resolve({ status: Number(received[":status"] ?? 0), stream, headers: received });
    stream.once("response", answer);
    stream.once("close", () => answer({}));
  });
}

export function connectTo(session: ClientHttp2Session, authority: string): Promise<ConnectAnswer> {
  return request(session, { ":method": "CONNECT", ":authority": authority });
}
