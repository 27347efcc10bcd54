/**
 * What a waypoint vouches for in headers: who the client is, how it came, and the request's id. A
 * client's own word on these is taken off, or followed by ours.
 */
import type { GatewayConfig } from "#common/model/waypoint/resource.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { RequestHead } from "../http/message.ts";
import type { Downstream } from "./stage.ts";

/** Envoy's and Linkerd's words between their own proxies: from a client they mean nothing. */
const INTERNAL_PREFIXES = ["x-envoy-", "x-istio-attributes", "l5d-"];
const CLIENT_CERTIFICATE = "x-forwarded-client-cert";

/** What a client may call its request: a UUID, or what looks like one. */
const REQUEST_ID = /^[0-9A-Za-z-]{8,64}$/;

export interface ForwardedFacts {
  readonly downstream: Downstream;
  readonly gateway: GatewayConfig;
  /** The waypoint's own, for `By`. */
  readonly ownIdentity: string;
  /** A new UUID. */
  readonly newId: () => string;
}

/**
 * Changes the headers of the request that goes upstream; returns its id. To be called once, before
 * any stage looks at the request.
 *
 * `x-forwarded-for`: the client's address is added at the end; only the last one is ours.
 * `x-forwarded-proto`: how the client's application spoke to us, whatever it says.
 * `x-request-id`: the client's, if it is one. `x-forwarded-client-cert`: never the client's.
 * `baggage` goes on to the application, whose header it is, and is never believed.
 */
export function setForwardedHeaders(head: RequestHead, facts: ForwardedFacts): string {
  const { headers } = head;
  const { downstream, gateway, ownIdentity } = facts;
  removeInternal(headers);
  const before = headers.combined("x-forwarded-for");
  const { ip } = downstream.source;
  headers.set("x-forwarded-for", before === undefined ? ip : `${before},${ip}`);
  headers.set("x-forwarded-proto", head.scheme);
  if (gateway.forwardClientCert) {
    headers.set(CLIENT_CERTIFICATE, `By=${ownIdentity};URI=${downstream.peer.uri}`);
  }
  return requestId(headers, facts.newId);
}

function removeInternal(headers: HeaderList): void {
  const { flat } = headers;
  let found: string[] | undefined;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] ?? "";
    if (isInternal(name)) found = [...(found ?? []), name];
  }
  for (const name of found ?? []) headers.delete(name);
}

function isInternal(name: string): boolean {
  if (name === CLIENT_CERTIFICATE) return true;
  for (const prefix of INTERNAL_PREFIXES) if (name.startsWith(prefix)) return true;
  return false;
}

function requestId(headers: HeaderList, newId: () => string): string {
  const [given, ...more] = headers.getAll("x-request-id");
  if (given !== undefined && more.length === 0 && REQUEST_ID.test(given)) return given;
  const id = newId();
  headers.set("x-request-id", id);
  return id;
}
