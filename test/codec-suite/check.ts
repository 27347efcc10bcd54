/** One check of the codec suite, and what it stands on: client, the engine's relay, upstream. */
import type { CodecLimits, Forwarder } from "#waypoint/http/engine.ts";
import { RelayProxy } from "#waypoint/http/relay-fixture.ts";
import { RawConnection, RawUpstream } from "./raw-connection.ts";

/**
 * What an engine may lack, and why: `request-trailers`, `response-trailers`, `informational`
 * (1xx other than 100), `upgrade`, `half-close` (of a client), `pipelining`, `write-timeout` (of
 * a client that reads nothing), `response-limits` (header bounds of its own for responses),
 * `expect` (100 comes from the upstream), `options-asterisk` (`OPTIONS *`), `early-head` (a head
 * leaves before anything of its body is there), `reuse-after-bodyless` (of an upstream's
 * connection after an answer to HEAD, or after a 304 that says a length), `pipelined-close` (a
 * client may end its side behind pipelined requests of which the last says close).
 */
export type Capability =
  | "request-trailers"
  | "response-trailers"
  | "informational"
  | "upgrade"
  | "half-close"
  | "pipelining"
  | "pipelined-close"
  | "write-timeout"
  | "response-limits"
  | "expect"
  | "options-asterisk"
  | "early-head"
  | "reuse-after-bodyless";

export interface Bench {
  readonly proxy: RelayProxy;
  readonly upstream: RawUpstream;
  readonly open: () => Promise<RawConnection>;
}

export interface Check {
  /** A sentence. */
  readonly name: string;
  readonly run: (bench: Bench) => Promise<void>;
  /** Engines that lack it are not held to this. */
  readonly needs?: Capability;
  /** Those of RELAY_LIMITS that are others. */
  readonly limits?: Partial<CodecLimits>;
}

export function check(
  name: string,
  run: Check["run"],
  options: Pick<Check, "needs" | "limits"> = {},
): Check {
  return { name, run, ...options };
}

/** Runs a check on a bench of its own, and takes that down. */
export async function onBench(make: () => Forwarder, { run, limits = {} }: Check): Promise<void> {
  const upstream = new RawUpstream();
  const proxy = new RelayProxy(make(), limits);
  const opened: RawConnection[] = [];
  try {
    await upstream.listen();
    await proxy.listen(upstream.port);
    const open = async (): Promise<RawConnection> => {
      const connection = await RawConnection.open(proxy.port);
      opened.push(connection);
      return connection;
    };
    await run({ proxy, upstream, open });
  } finally {
    for (const { socket } of opened) socket.destroy();
    proxy.close();
    upstream.close();
  }
}

/** A GET and its answer, both whole: shows that a connection works. */
export async function exchangeOne(
  client: RawConnection,
  upstream: RawConnection,
  path = "/again",
): Promise<string> {
  client.write(`GET ${path} HTTP/1.1\r\nhost: api\r\n\r\n`);
  const request = await upstream.head();
  upstream.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nagain");
  await client.until("again");
  return request;
}

/** The value of a field in a head as text, undefined where it is absent. */
export function fieldOf(head: string, name: string): string | undefined {
  const line = head.split("\r\n").find((each) => each.toLowerCase().startsWith(`${name}:`));
  return line?.slice(name.length + 1).trim();
}
