/** Text in columns. */

const GAP = 3;

/** Columns are as wide as their widest cell; `gap` is the number of spaces between them. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  gap = GAP,
): string {
  const lines = [header, ...rows];
  const widths = header.map((_, i) =>
    lines.reduce((widest, line) => Math.max(widest, (line[i] ?? "").length), 0),
  );
  return lines
    .map((line) => line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" ".repeat(gap)))
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

/** `12s`, `5m`, `3h`, `2d`: the age of an object in its largest unit. */
export function formatAge(timestamp: string | undefined, now: Date): string {
  if (timestamp === undefined) return "-";
  const seconds = Math.max(0, Math.floor((now.getTime() - Date.parse(timestamp)) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
