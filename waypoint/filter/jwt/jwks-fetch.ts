/**
 * Fetches a key set from where the user says, and from nowhere else: redirects are refused, and so
 * are addresses that are this machine's own or a cloud's metadata, whatever name leads to them.
 * Addresses inside the cluster are what users mean when they write one. Bounded in size and time.
 */
import type { LookupAddress } from "node:dns";
import { lookup as resolve } from "node:dns/promises";
import { type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { MeshError } from "#common/runtime/errors.ts";
import type { FetchJwks } from "./jwks-cache.ts";
import { JWKS_BYTES } from "./limits.ts";

export interface JwksFetchOptions {
  /** Whether an address may be connected to. @default none that is local to a machine or link */
  readonly mayConnect?: (address: string) => boolean;
}

export function createJwksFetch({ mayConnect = isRemote }: JwksFetchOptions = {}): FetchJwks {
  return async (uri, timeoutMs) => {
    const url = URL.parse(uri);
    if (url === null || !["http:", "https:"].includes(url.protocol)) {
      throw fetchFailure(uri, "it is no http or https address");
    }
    const host = url.hostname.replace(/^\[|\]$/g, "");
    if (isIP(host) !== 0 && !mayConnect(host)) throw fetchFailure(uri, notAllowed(host));
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      return await get(url, signal, guardedLookup(mayConnect));
    } catch (error) {
      throw fetchFailure(uri, signal.aborted ? `it took more than ${timeoutMs} ms` : error);
    }
  };
}

function get(url: URL, signal: AbortSignal, lookup: LookupFunction): Promise<string> {
  return new Promise((done, failed) => {
    const send = url.protocol === "https:" ? requestHttps : requestHttp;
    const headers = { accept: "application/json", "accept-encoding": "identity" };
    // No agent: a connection that was made to one address is never used for another name.
    const request = send(url, { agent: false, signal, lookup, headers });
    request.on("error", failed);
    request.on("response", (response) => receive(request, response, done, failed));
    request.end();
  });
}

function receive(
  request: ClientRequest,
  response: IncomingMessage,
  done: (text: string) => void,
  failed: (error: Error) => void,
): void {
  const refuse = (why: string): void => {
    failed(new Error(why));
    request.destroy();
  };
  const refused = refusedStatus(response.statusCode ?? 0);
  if (refused !== undefined) {
    refuse(refused);
    return;
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > JWKS_BYTES) refuse(`it has more than ${JWKS_BYTES} bytes`);
    else chunks.push(chunk);
  });
  response.on("error", failed);
  response.on("end", () => done(Buffer.concat(chunks).toString("utf8")));
}

/** Why an answer of this status is no key set; undefined where it may be one. */
export function refusedStatus(status: number): string | undefined {
  if (status === 200) return undefined;
  const moved = status >= 300 && status < 400;
  return moved ? "redirects are not followed" : `the answer was ${status}`;
}

/** Every address of the name has to be allowed: which one is taken is not ours to say. */
function guardedLookup(mayConnect: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    const answer = (addresses: readonly LookupAddress[]): void => {
      const refused = addresses.find(({ address }) => !mayConnect(address));
      const [first] = addresses;
      if (refused !== undefined) callback(new Error(notAllowed(refused.address)), "");
      else if (first === undefined) callback(new Error(`${hostname} has no address`), "");
      else if (options.all) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    };
    resolve(hostname, { all: true, verbatim: true }).then(answer, (error: Error) => {
      callback(error, "");
    });
  };
}

/** Loopback, this host, link-local (where clouds keep their metadata), multicast. */
const LOCAL = blockList([
  ["0.0.0.0", 8, "ipv4"],
  ["127.0.0.0", 8, "ipv4"],
  ["169.254.0.0", 16, "ipv4"],
  ["224.0.0.0", 3, "ipv4"],
  ["::", 127, "ipv6"],
  ["fe80::", 10, "ipv6"],
  ["ff00::", 8, "ipv6"],
  // Amazon's metadata service.
  ["fd00:ec2::", 32, "ipv6"],
]);

type Block = readonly [address: string, prefix: number, family: "ipv4" | "ipv6"];

function blockList(blocks: readonly Block[]): BlockList {
  const list = new BlockList();
  for (const block of blocks) list.addSubnet(...block);
  return list;
}

/** IPv4-mapped IPv6 counts as the IPv4 address that it is. */
export function isRemote(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && !LOCAL.check(address, family === 4 ? "ipv4" : "ipv6");
}

function notAllowed(address: string): string {
  return `${address} is local to a machine or link`;
}

/** JWKS_FETCH_FAILED. */
export function fetchFailure(uri: string, cause: unknown): MeshError {
  const options = { cause: cause instanceof Error ? cause : new Error(String(cause)) };
  const hint = "see that jwksUri answers 200 with a key set, without a redirect";
  return new MeshError("JWKS_FETCH_FAILED", `cannot fetch the key set ${uri}`, {
    ...options,
    hint,
  });
}
