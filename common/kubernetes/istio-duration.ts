/**
 * Durations as Istio's APIs write them (google.protobuf.Duration in JSON, and Go's): "1h", "0.5s".
 */

const FORMAT = /^([0-9]+(\.[0-9]+)?(h|m|s|ms|us))+$/;
const COMPONENT = /([0-9]+(?:\.[0-9]+)?)(ms|us|h|m|s)/g;
const UNIT_MS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 0.001,
};
/** What a google.protobuf.Duration can hold at most, about 10,000 years. */
const LONGEST_MS = 315_576_000_000_000;

/** In milliseconds, rounded up; undefined for anything that is no such duration. */
export function parseIstioDurationMs(text: string): number | undefined {
  if (!FORMAT.test(text)) return undefined;
  let sum = 0;
  for (const [, digits = "", unit = ""] of text.matchAll(COMPONENT)) {
    sum += Number(digits) * (UNIT_MS[unit] ?? 0);
  }
  return sum <= LONGEST_MS ? Math.ceil(sum) : undefined;
}
