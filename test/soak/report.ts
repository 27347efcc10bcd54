/** What a soak has to hold, and its result for people. */
import type { SoakResult } from "./soak.ts";

/**
 * By how much a floor may rise in the second half. A process warms up for some minutes, so this is
 * no small figure; a leak of a kilobyte or a descriptor per connection is beyond it soon.
 */
export const MAX_RSS_GROWTH_MB = 32;
export const MAX_DESCRIPTOR_GROWTH = 12;
/** Fewer samples make no line. */
const MIN_SAMPLES = 5;

/** What did not hold, one line each; empty for a good soak. */
export function faultsOf({ loads, growth, churn }: SoakResult): readonly string[] {
  const faults = loads.flatMap(({ name, calls, good, failed, failures }) => [
    ...(failed > 0 ? [`${name}: ${failed} of ${calls} failed: ${JSON.stringify(failures)}`] : []),
    ...(good === 0 ? [`${name}: not one call counted`] : []),
  ]);
  for (const [what, count] of Object.entries(churn)) {
    if (count === 0) faults.push(`no churn of ${what}: the soak was too short`);
  }
  for (const one of growth) {
    const { program, samples, rssGrowthMb, descriptorGrowth } = one;
    if (samples < MIN_SAMPLES) faults.push(`${program}: only ${samples} samples`);
    if (rssGrowthMb > MAX_RSS_GROWTH_MB) {
      faults.push(`${program}: RSS grew by ${rssGrowthMb.toFixed(1)} MB`);
    }
    if (descriptorGrowth > MAX_DESCRIPTOR_GROWTH) {
      faults.push(`${program}: ${descriptorGrowth.toFixed(1)} more descriptors`);
    }
  }
  return faults;
}

export function formatResult(result: SoakResult): string {
  const { loads, growth, churn, renewals, seconds } = result;
  const changes = Object.entries({ ...churn, renewals }).map(([what, count]) => `${count} ${what}`);
  return [
    `${seconds.toFixed(0)} s; churn: ${changes.join(", ")}`,
    "",
    ...table(
      ["traffic", "calls", "good", "excused", "failed"],
      loads.map((one) => [one.name, one.calls, one.good, one.excused, one.failed]),
    ),
    "",
    ...table(
      ["program (second half)", "RSS MB", "growth MB", "descriptors", "growth"],
      growth.map((one) => [
        one.program,
        one.rssMb.toFixed(1),
        one.rssGrowthMb.toFixed(1),
        one.descriptors,
        one.descriptorGrowth.toFixed(1),
      ]),
    ),
  ].join("\n");
}

function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]) {
  const cells = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  "),
  );
}
