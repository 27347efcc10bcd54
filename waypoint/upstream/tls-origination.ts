/**
 * TLS towards an endpoint, where a DestinationRule or BackendTLSPolicy asks for it: over whatever
 * carries the bytes, TCP or a tunnel. Nothing is sent before the server has proved who it is.
 */
import type { Duplex } from "node:stream";
import tls, { type PeerCertificate, type SecureContext, type TLSSocket } from "node:tls";
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { type ConnectionFailure, failure } from "#common/transport/failure.ts";
import { TLS_ORIGINATION_TIMEOUT_MS } from "../limits.ts";

export type ClientTls = NonNullable<TrafficPolicy["tls"]>;

export interface TlsRequest {
  readonly policy: ClientTls;
  /** Of the backend: asked for, and verified, where the policy names nothing else. */
  readonly hostname: string;
  /** What will be spoken inside; without it none is offered. */
  readonly alpn: "h2" | "http/1.1" | undefined;
  readonly signal: AbortSignal;
}

/** The TLS connection, or why there is none: the carrier is closed then. */
export function originateTls(
  carrier: Duplex,
  request: TlsRequest,
): Promise<TLSSocket | ConnectionFailure> {
  const { policy, alpn, signal } = request;
  const { promise, resolve } = Promise.withResolvers<TLSSocket | ConnectionFailure>();
  const context = contextOf(policy);
  if ("ok" in context) {
    carrier.destroy();
    return Promise.resolve(context);
  }
  const socket = tls.connect(connectOptions(carrier, context, request));
  const settle = (result: TLSSocket | ConnectionFailure): void => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    if ("ok" in result) {
      socket.destroy();
      carrier.destroy();
    }
    resolve(result);
  };
  const refused = (why: string): void => settle(refusal(request, why));
  const onAbort = (): void => refused("given up");
  const timer = setTimeout(() => refused("timed out"), TLS_ORIGINATION_TIMEOUT_MS);
  signal.addEventListener("abort", onAbort, { once: true });
  socket.on("error", (error) => refused(error.message));
  socket.once("close", () => refused("the server closed the connection"));
  socket.once("secureConnect", () => {
    // A server without ALPN speaks HTTP/1.1; one that was asked for HTTP/2 has to say so.
    if (alpn === "h2" && socket.alpnProtocol !== "h2") refused("it does not offer HTTP/2");
    else settle(socket);
  });
  return promise;
}

/** Node's types do not know `allowHalfOpen` here. */
type ConnectOptions = tls.ConnectionOptions & { readonly allowHalfOpen: boolean };

function connectOptions(
  carrier: Duplex,
  secureContext: SecureContext,
  request: TlsRequest,
): ConnectOptions {
  const { policy, alpn } = request;
  return {
    socket: carrier,
    allowHalfOpen: true,
    secureContext,
    servername: serverNameOf(request),
    rejectUnauthorized: !policy.insecureSkipVerify,
    checkServerIdentity: (_host, certificate) => whyNotServer(request, certificate),
    ...(alpn !== undefined && { ALPNProtocols: [alpn] }),
  };
}

const contexts = new WeakMap<ClientTls, SecureContext>();

/** Made once per policy; a policy that cannot be used is an answer, not an error of ours. */
function contextOf(policy: ClientTls): SecureContext | ConnectionFailure {
  const known = contexts.get(policy);
  if (known !== undefined) return known;
  const { caCertificates, certificateChain, privateKey } = policy;
  try {
    const context = tls.createSecureContext({
      minVersion: "TLSv1.2",
      ca: caCertificates ?? systemRoots(),
      ...(policy.mode === "mutual" && { cert: certificateChain, key: privateKey }),
    });
    contexts.set(policy, context);
    return context;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return failure("tls-failed", `the certificates of the TLS settings cannot be used: ${why}`);
  }
}

let roots: string[] | undefined;

/** Of the machine (the image's ca-certificates), else those that Node brings. */
function systemRoots(): string[] {
  if (roots !== undefined) return roots;
  const found = tls.getCACertificates("system");
  roots = found.length > 0 ? found : tls.getCACertificates("bundled");
  return roots;
}

/** No name is asked for that is none: a wildcard, an address. */
function serverNameOf({ policy, hostname }: TlsRequest): string {
  const name = policy.sni ?? hostname;
  return /^[a-z0-9_.-]*[a-z][a-z0-9_.-]*$/i.test(name) ? name : "";
}

/** Undefined for the right server. Node calls this only when the chain has been verified. */
function whyNotServer(request: TlsRequest, certificate: PeerCertificate): Error | undefined {
  const { policy, hostname } = request;
  if (policy.insecureSkipVerify) return undefined;
  const { subjectAltNames } = policy;
  if (subjectAltNames.length === 0) {
    return tls.checkServerIdentity(policy.sni ?? hostname, certificate);
  }
  const named = (wanted: string): boolean =>
    tls.checkServerIdentity(wanted, certificate) === undefined || hasUri(certificate, wanted);
  if (subjectAltNames.some(named)) return undefined;
  const shown = subjectAltNames.slice(0, 3).join(", ");
  const message = `its certificate names none of ${shown}`;
  return new MeshError("PEER_IDENTITY_REFUSED", message);
}

/** Node prints the names as `URI:spiffe://…, DNS:…`, and quotes what could be taken for two. */
function hasUri({ subjectaltname = "" }: PeerCertificate, wanted: string): boolean {
  return wanted.includes("://") && subjectaltname.split(", ").includes(`URI:${wanted}`);
}

function refusal({ policy, hostname }: TlsRequest, why: string): ConnectionFailure {
  const message = `TLS with ${policy.sni ?? hostname} failed: ${why}`;
  return failure("tls-failed", message, { retriable: true });
}
