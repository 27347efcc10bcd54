/** What would change about an object, in lines of YAML. Pure. */

import { stringify } from "yaml";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";

/** Lines of context around a change, as `diff -u` has by default. */
const CONTEXT_LINES = 3;

/** What an API server writes itself, in any object. */
const SERVER_METADATA = [
  "creationTimestamp",
  "generation",
  "managedFields",
  "resourceVersion",
  "selfLink",
  "uid",
];

/** Without what the server, and not a manifest, says: keys in order, so that it compares. */
export function comparable(object: unknown): unknown {
  if (!isJsonObject(object)) return object;
  const { status: _, metadata, ...rest } = object;
  const own = isJsonObject(metadata)
    ? Object.fromEntries(Object.entries(metadata).filter(([key]) => !SERVER_METADATA.includes(key)))
    : metadata;
  return sorted({ ...rest, metadata: own });
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}

export function sameObject(a: unknown, b: unknown): boolean {
  return JSON.stringify(comparable(a)) === JSON.stringify(comparable(b));
}

/** In the form of `diff -u`, below a heading; "" where nothing differs. */
export function diffObjects(
  name: string,
  before: JsonObject | undefined,
  after: JsonObject | undefined,
): string {
  const hunks = diffLines(linesOf(before), linesOf(after));
  return hunks.length === 0 ? "" : `--- ${name}\n+++ ${name}\n${hunks.join("\n")}\n`;
}

function linesOf(object: JsonObject | undefined): readonly string[] {
  if (object === undefined) return [];
  return stringify(comparable(object), { lineWidth: 0 }).trimEnd().split("\n");
}

interface Line {
  readonly mark: " " | "-" | "+";
  readonly text: string;
}

function diffLines(before: readonly string[], after: readonly string[]): readonly string[] {
  const lines = editScript(before, after);
  const near = (index: number) =>
    lines
      .slice(Math.max(0, index - CONTEXT_LINES), index + CONTEXT_LINES + 1)
      .some(({ mark }) => mark !== " ");
  const shown: string[] = [];
  let skipped = false;
  for (const [index, { mark, text }] of lines.entries()) {
    if (!near(index)) {
      skipped = true;
      continue;
    }
    if (skipped || shown.length === 0) shown.push("@@");
    skipped = false;
    shown.push(`${mark}${text}`);
  }
  return shown;
}

/**
 * By the longest common subsequence, after what both begin and end with: a manifest's changes are
 * small, so that the table is too.
 */
function editScript(before: readonly string[], after: readonly string[]): readonly Line[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let tail = 0;
  const rest = Math.min(before.length, after.length) - start;
  while (tail < rest && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const kept = (text: string): Line => ({ mark: " ", text });
  const a = before.slice(start, before.length - tail);
  const b = after.slice(start, after.length - tail);
  return [
    ...before.slice(0, start).map(kept),
    ...middle(a, b),
    ...before.slice(before.length - tail).map(kept),
  ];
}

/** Above this many cells what differs is shown as taken out and put in, which is also true. */
const TABLE_MAX_CELLS = 4_000_000;

function middle(a: readonly string[], b: readonly string[]): readonly Line[] {
  const width = b.length + 1;
  if (a.length * width > TABLE_MAX_CELLS || a.length === 0 || b.length === 0) {
    return [
      ...a.map((text): Line => ({ mark: "-", text })),
      ...b.map((text): Line => ({ mark: "+", text })),
    ];
  }
  const table = new Uint32Array((a.length + 1) * width);
  const common = (i: number, j: number) => table[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const longest = Math.max(common(i + 1, j), common(i, j + 1));
      table[i * width + j] = a[i] === b[j] ? common(i + 1, j + 1) + 1 : longest;
    }
  }
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [left = "", right = ""] = [a[i], b[j]];
    if (i < a.length && j < b.length && left === right) {
      lines.push({ mark: " ", text: left });
      i++;
      j++;
    } else if (i < a.length && (j === b.length || common(i + 1, j) >= common(i, j + 1))) {
      lines.push({ mark: "-", text: left });
      i++;
    } else {
      lines.push({ mark: "+", text: right });
      j++;
    }
  }
  return lines;
}
