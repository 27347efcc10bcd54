/**
 * One request to an API server as Node's HTTP clients take it: where, as whom, and how encrypted.
 */
import http, { type ClientRequest, type OutgoingHttpHeaders } from "node:http";
import https from "node:https";
import type { KubeConnection, TlsMaterial } from "#common/kube-client/kube-connection.ts";
import { VERSION } from "#common/runtime/version.ts";

/** A list is sent as the same name several times; undefined values are left out. */
export type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface OutgoingRequest {
  readonly method: string;
  /** Absolute, without a query. */
  readonly path: string;
  readonly query?: Query | undefined;
  /** Beside those that every request has, and that prove who we are. */
  readonly headers?: OutgoingHttpHeaders;
}

/** What `makeRequest` takes. Throws what the connection throws where it has no credentials. */
export async function requestOptions(
  connection: KubeConnection,
  { method, path, query = {}, headers = {} }: OutgoingRequest,
) {
  const { hostname, port, pathname } = connection.server;
  const credentials = await connection.headers();
  return {
    method,
    host: hostname.replaceAll(/^\[|\]$/g, ""),
    port,
    path: `${pathname.replace(/\/+$/, "")}${path}${searchOf(query)}`,
    headers: { "user-agent": `ambient-mesh/${VERSION}`, ...credentials, ...headers },
  };
}

/** A request that is still to be ended. */
export function makeRequest(
  { server }: KubeConnection,
  options: http.RequestOptions,
): ClientRequest {
  return server.protocol === "https:" ? https.request(options) : http.request(options);
}

/** As TLS takes it; what is absent is the system's. */
export function tlsOptions({ ca, cert, key, servername, rejectUnauthorized }: TlsMaterial) {
  return {
    rejectUnauthorized,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(servername !== undefined && { servername }),
  };
}

function searchOf(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    const values = value === undefined ? [] : typeof value === "string" ? [value] : value;
    for (const one of values) parameters.append(name, one);
  }
  return parameters.size === 0 ? "" : `?${parameters}`;
}
