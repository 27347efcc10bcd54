/** Durations as Gateway API writes them: "1h30m", "500ms". Source: GEP-2257. */

const FORMAT = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/;
const COMPONENT = /([0-9]{1,5})(ms|h|m|s)/g;
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** In milliseconds; undefined for anything that is no such duration. */
export function parseGatewayDurationMs(text: string): number | undefined {
  if (!FORMAT.test(text)) return undefined;
  let sum = 0;
  for (const [, digits = "", unit = ""] of text.matchAll(COMPONENT)) {
    sum += Number(digits) * (UNIT_MS[unit] ?? 0);
  }
  return sum;
}
