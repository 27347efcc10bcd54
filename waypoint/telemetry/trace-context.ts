/**
 * Which trace a request belongs to: W3C Trace Context and Zipkin's B3, in one header or in several.
 * What came is passed on in the notation in which it came, and always as `traceparent`.
 */
import type { HeaderList } from "../http/header-list.ts";
import { TRACE_STATE_CHARACTERS } from "./limits.ts";

/** Ids are lower-case hex: 32 digits of a trace, 16 of a span. */
export interface SpanIds {
  readonly traceId: string;
  /** The waypoint's own part of the trace. */
  readonly spanId: string;
  /** Whose request it is; undefined: the trace begins here. */
  readonly parentSpanId: string | undefined;
  readonly sampled: boolean;
}

interface Parent {
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined: left to whoever comes next. */
  readonly sampled: boolean | undefined;
}

export interface TraceDependencies {
  /** That many random bytes, as hex. */
  readonly randomHex: (bytes: number) => string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/**
 * Takes part in the trace of the request, or begins one, and tells the upstream. A parent's
 * decision to sample holds; without one, `samplingPercent` of the requests are sampled.
 */
export function joinTrace(
  headers: HeaderList,
  samplingPercent: number,
  { randomHex, random }: TraceDependencies,
): SpanIds {
  const w3c = parseTraceparent(headers.getAll("traceparent"));
  const b3 = parseB3(headers.get("b3")) ?? parseB3Headers(headers);
  const parent = w3c ?? (b3?.traceId === undefined ? undefined : b3);
  const decided = w3c === undefined ? b3?.sampled : w3c.sampled;
  const span: SpanIds = {
    traceId: parent?.traceId ?? nonZero(16, randomHex),
    spanId: nonZero(8, randomHex),
    parentSpanId: parent?.spanId,
    sampled: decided ?? random() * 100 < samplingPercent,
  };
  const state = headers.combined("tracestate");
  if (w3c === undefined || (state?.length ?? 0) > TRACE_STATE_CHARACTERS) {
    headers.delete("tracestate");
  }
  headers.set("traceparent", `00-${span.traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`);
  writeB3(headers, span);
  return span;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** W3C Trace Context 3.2: later versions may have more behind it; more than one header is none. */
function parseTraceparent([value, ...more]: readonly string[]): Parent | undefined {
  if (value === undefined || more.length > 0) return undefined;
  const [, version, traceId = "", spanId = "", flags = "", rest] = TRACEPARENT.exec(value) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && rest !== undefined)) {
    return undefined;
  }
  if (isZero(traceId) || isZero(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

type B3 = Parent | { readonly traceId?: undefined; readonly sampled: boolean | undefined };

const B3_SINGLE = /^([0-9a-f]{32}|[0-9a-f]{16})-([0-9a-f]{16})(?:-([01d])(?:-[0-9a-f]{16})?)?$/;

/** Source: github.com/openzipkin/b3-propagation. A decision may come alone. */
function parseB3(value: string | undefined): B3 | undefined {
  if (value === undefined) return undefined;
  if (/^[01d]$/.test(value)) return { sampled: value !== "0" };
  const [, traceId = "", spanId = "", sampled] = B3_SINGLE.exec(value.toLowerCase()) ?? [];
  return b3Parent(traceId, spanId, sampled === undefined ? undefined : sampled !== "0");
}

function parseB3Headers(headers: HeaderList): B3 | undefined {
  const sampledText = headers.get("x-b3-sampled");
  const debug = headers.get("x-b3-flags") === "1";
  const sampled = debug || DECISIONS.get(sampledText ?? "");
  const parent = b3Parent(
    headers.get("x-b3-traceid")?.toLowerCase() ?? "",
    headers.get("x-b3-spanid")?.toLowerCase() ?? "",
    sampled,
  );
  return parent ?? (sampled === undefined ? undefined : { sampled });
}

const DECISIONS: ReadonlyMap<string, boolean> = new Map([
  ["1", true],
  ["true", true],
  ["0", false],
  ["false", false],
]);

function b3Parent(
  traceId: string,
  spanId: string,
  sampled: boolean | undefined,
): Parent | undefined {
  if (!/^([0-9a-f]{32}|[0-9a-f]{16})$/.test(traceId) || !/^[0-9a-f]{16}$/.test(spanId)) {
    return undefined;
  }
  if (isZero(traceId) || isZero(spanId)) return undefined;
  return { traceId: traceId.padStart(32, "0"), spanId, sampled };
}

/** Only what the client speaks: an upstream of its kind will look for it. */
function writeB3(headers: HeaderList, { traceId, spanId, parentSpanId, sampled }: SpanIds): void {
  const decision = sampled ? "1" : "0";
  if (headers.has("b3")) headers.set("b3", `${traceId}-${spanId}-${decision}`);
  if (!headers.has("x-b3-traceid") && !headers.has("x-b3-sampled")) return;
  headers.set("x-b3-traceid", traceId);
  headers.set("x-b3-spanid", spanId);
  headers.set("x-b3-sampled", decision);
  if (parentSpanId === undefined) headers.delete("x-b3-parentspanid");
  else headers.set("x-b3-parentspanid", parentSpanId);
}

/** All zeros is no id, however unlikely it is to come up. */
function nonZero(bytes: number, randomHex: (bytes: number) => string): string {
  const id = randomHex(bytes);
  return isZero(id) ? `${id.slice(1)}1` : id;
}

function isZero(id: string): boolean {
  return /^0+$/.test(id);
}
