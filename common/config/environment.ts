/**
 * Readers of single environment variables: each returns a value of the right kind or throws a
 * MeshError CONFIG_INVALID that names the variable, the value and what is allowed. A variable that
 * is set and empty counts as not set, unless a reader says otherwise.
 */
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface IntegerBounds {
  readonly min: number;
  readonly max: number;
}

/** A variable without which there is no start; `what` completes "it names …". */
export function required(env: Environment, name: string, what: string): string {
  const value = env[name];
  if (value !== undefined && value !== "") return value;
  throw new MeshError("CONFIG_INVALID", `${name} is not set: it names ${what}`, {
    hint: `set ${name} in the container's env`,
  });
}

export function integer(
  env: Environment,
  name: string,
  fallback: number,
  bounds: IntegerBounds,
): number {
  const value = env[name];
  if (value === undefined || value === "") return fallback;
  const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= bounds.min && number <= bounds.max) return number;
  return invalid(name, value, `a whole number from ${bounds.min} to ${bounds.max}`);
}

export function port(env: Environment, name: string, fallback: number): number {
  return integer(env, name, fallback, { min: 0, max: 65_535 });
}

export function boolean(env: Environment, name: string, fallback: boolean): boolean {
  const value = env[name];
  if (value === undefined || value === "") return fallback;
  if (value === "true" || value === "false") return value === "true";
  return invalid(name, value, "true or false");
}

export function choice<Choice extends string>(
  env: Environment,
  name: string,
  choices: readonly Choice[],
  fallback: Choice,
): Choice {
  const value = env[name];
  if (value === undefined || value === "") return fallback;
  return (
    choices.find((candidate) => candidate === value) ?? invalid(name, value, choices.join(", "))
  );
}

export function ip(env: Environment, name: string): IpAddress | undefined {
  const value = env[name];
  if (value === undefined || value === "") return undefined;
  return parseIp(value) ?? invalid(name, value, "an IP address");
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of `90`, `500ms`, `24h0m0s`: a bare number is seconds, parts add up. */
export function durationMs(
  env: Environment,
  name: string,
  fallbackMs: number,
  bounds: IntegerBounds = { min: 0, max: Number.MAX_SAFE_INTEGER },
): number {
  const value = env[name];
  if (value === undefined || value === "") return fallbackMs;
  const ms = parseDurationMs(value);
  if (ms === undefined) return invalid(name, value, "a duration such as 500ms, 5s or 24h0m0s");
  if (ms >= bounds.min && ms <= bounds.max) return ms;
  return invalid(name, value, `a duration from ${bounds.min / 1000}s to ${bounds.max / 1000}s`);
}

function parseDurationMs(value: string): number | undefined {
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const parts = [...value.matchAll(/(\d{1,9})(ms|[smhd])/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== value) return undefined;
  return parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS],
    0,
  );
}

/** `host:port` or `https://host:port`: TLS is meant, and nothing else is supported. */
export function tlsUrl(name: string, given: string): string {
  const value = given.includes("://") ? given : `https://${given}`;
  const parsed = URL.parse(value);
  const plain = parsed?.pathname === "/" && parsed.search === "" && parsed.username === "";
  if (parsed?.protocol === "https:" && plain) return value.replace(/\/$/, "");
  return invalid(name, given, "an address such as https://istiod.istio-system.svc:15012");
}

/** `XDS_HEADER_X_FOO=bar` is the header `x_foo: bar`: gRPC's metadata keys are lower case. */
export function headers(env: Environment, prefix: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(prefix) || value === undefined) continue;
    const key = name.slice(prefix.length).toLowerCase();
    if (!/^[a-z0-9_.-]+$/.test(key) || key.startsWith("grpc-") || key.endsWith("-bin")) {
      return invalid(name, value, `a name after ${prefix} that gRPC metadata may have`);
    }
    if (!/^[\x20-\x7e]*$/.test(value)) return invalid(name, value, "printable ASCII");
    found[key] = value;
  }
  return found;
}

export function invalid(name: string, value: string, allowed: string, hint?: string): never {
  throw new MeshError(
    "CONFIG_INVALID",
    `${name}=${value} is not valid: it takes ${allowed}`,
    hint === undefined ? {} : { hint },
  );
}
