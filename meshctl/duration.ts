/** Durations on the command line. */
import { InvalidArgumentError } from "commander";

/** A duration as Go writes it, in its simple forms. */
export function parseDurationMs(text: string): number {
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const [, number = "", unit = ""] = /^(\d{1,6})(ms|s|m|h)$/.exec(text) ?? [];
  if (number !== "") return Number(number) * units[unit as keyof typeof units];
  throw new InvalidArgumentError("give a duration, such as 90s or 2m.");
}
