/** What a check found, and how it is shown. Pure. */

/** `unknown`: it could not be found out, for want of permission or of an answer. */
export type Status = "ok" | "warning" | "failed" | "unknown";

export interface Outcome {
  readonly status: Status;
  /** What was seen, a line each: for `ok` at most one, behind the description. */
  readonly details: readonly string[];
}

export interface Finding extends Outcome {
  /** The heading in docs/troubleshooting.md that says what to do. */
  readonly id: string;
  readonly description: string;
}

export const ok = (detail?: string): Outcome => ({
  status: "ok",
  details: detail === undefined ? [] : [detail],
});
export const warning = (...details: string[]): Outcome => ({ status: "warning", details });
export const failed = (...details: string[]): Outcome => ({ status: "failed", details });

/** `ok`, unless there is something to tell. */
export function unlessAny(
  status: "warning" | "failed",
  details: readonly string[],
  good?: string,
): Outcome {
  return details.length === 0 ? ok(good) : { status, details };
}

const SIGNS: Readonly<Record<Status, string>> = {
  ok: "√",
  warning: "‼",
  failed: "×",
  unknown: "?",
};
/** Lines of one finding; how many more there are is said. */
const DETAILS_SHOWN = 10;
const PAGE = "docs/troubleshooting.md";

export function formatFinding({ id, description, status, details }: Finding): string {
  if (status === "ok") {
    const [detail] = details;
    return `${SIGNS.ok} ${description}${detail === undefined ? "" : `: ${detail}`}\n`;
  }
  const more = details.length - DETAILS_SHOWN;
  const shown = [
    ...details.slice(0, DETAILS_SHOWN),
    ...(more > 0 ? [`and ${more} more`] : []),
    `see ${PAGE}#${id}`,
  ];
  return `${SIGNS[status]} ${description}\n${shown.map((line) => `    ${line}\n`).join("")}`;
}

/** The last line, and whether all is well enough for a script to go on. */
export function summary(findings: readonly Finding[]): { good: boolean; text: string } {
  const count = (status: Status) => findings.filter((one) => one.status === status).length;
  const parts = (["failed", "warning", "unknown"] as const)
    .filter((status) => count(status) > 0)
    .map((status) => `${count(status)} ${status}`);
  const good = count("failed") === 0;
  return {
    good,
    text: `${findings.length} checks${parts.length === 0 ? ", all good" : `: ${parts.join(", ")}`}`,
  };
}
