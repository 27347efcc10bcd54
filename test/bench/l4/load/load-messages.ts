/** What a load program is told on its command line, and the lines it prints. */
import { parseArgs } from "node:util";
import { type IpAddress, parseIp, type SocketAddress } from "#common/model/ip.ts";

/**
 * - `rate`: requests at a fixed rate, whatever the answers do.
 * - `max`: each connection sends its next request when the answer to the last is there.
 * - `connect`: connect, one request, one answer, close; as many at once as there are connections.
 * - `hold`: opens the connections and keeps them until standard input ends.
 */
export const LOAD_KINDS = ["rate", "max", "connect", "hold"] as const;
export type LoadKind = (typeof LOAD_KINDS)[number];

export interface LoadOptions {
  readonly kind: LoadKind;
  readonly target: SocketAddress;
  readonly connections: number;
  /** Bytes of a request, and of its answer. */
  readonly bytes: number;
  /** Requests per second, for `rate`. */
  readonly rate: number;
  /** Load before the measurement, which counts for nothing. */
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** Latencies are milliseconds from when a request was to be sent to the last byte of its answer. */
export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly elapsedMs: number;
  readonly latencyMs?: { readonly p50: number; readonly p90: number; readonly p99: number };
}

/**
 * `measuring`: the warm-up is over (or all connections are held); `done`: so is the measurement.
 */
export type LoadMessage =
  | { readonly event: "measuring" }
  | { readonly event: "done"; readonly result: LoadResult };

export function loadArguments(options: LoadOptions): readonly string[] {
  const { target, kind, ...numbers } = options;
  const named = Object.entries(numbers).map(([name, value]) => `--${name}=${value}`);
  return [`--kind=${kind}`, `--ip=${target.ip}`, `--port=${target.port}`, ...named];
}

/** Throws a TypeError for what no bench would say. */
export function parseLoadArguments(args: readonly string[]): LoadOptions {
  const names = ["kind", "ip", "port", "connections", "bytes", "rate", "warmUpMs", "measureMs"];
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  const { values } = parseArgs({ args: [...args], options });
  const kind = LOAD_KINDS.find((candidate) => candidate === values.kind);
  const ip = parseIp(String(values.ip)) as IpAddress | undefined;
  if (kind === undefined || ip === undefined) throw new TypeError(`invalid: ${args.join(" ")}`);
  const number = (name: string): number => {
    const value = Number(values[name]);
    if (Number.isFinite(value)) return value;
    throw new TypeError(`--${name} is no number: ${args.join(" ")}`);
  };
  return {
    kind,
    target: { ip, port: number("port") },
    connections: number("connections"),
    bytes: number("bytes"),
    rate: number("rate"),
    warmUpMs: number("warmUpMs"),
    measureMs: number("measureMs"),
  };
}
