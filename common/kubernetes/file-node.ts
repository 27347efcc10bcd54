/**
 * One file of a watched folder: whether it has to be read again, whether its writer has finished,
 * and which version of its content is in force.
 */
import { hash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import {
  EMPTY_SETTLE_MS,
  MAX_WAITING_FILES,
  TIMESTAMP_GRANULARITY_MS,
  WRITE_SETTLE_MAX_MS,
  WRITE_SETTLE_MS,
} from "#common/kubernetes/limits.ts";
import { type FileContent, loadText, unreadableFile } from "#common/kubernetes/load-text.ts";
import { type Fingerprint, fingerprintOf, readText } from "#common/kubernetes/read-file.ts";

export interface FileNode {
  readonly kind: "file";
  readonly fingerprint: Fingerprint;
  /** False when the file was so young that another write could hide behind equal timestamps. */
  readonly trusted: boolean;
  readonly digest: string;
  readonly content: FileContent;
  /** The last content that held objects and no error. */
  readonly good?: FileContent;
}

/** `unsettled` means: look again soon; the node is then the one before. */
export interface FileVisit {
  readonly node: FileNode | undefined;
  readonly unsettled: boolean;
}

export class FileReader {
  readonly #now: () => number;
  /** Since when the change of a file waits for its writer, by path. */
  readonly #waitingSinceMs = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** `settle` leaves a file alone that was written a moment ago: it may be half written. */
  async visit(
    path: string,
    stats: BigIntStats,
    before: FileNode | undefined,
    settle: boolean,
  ): Promise<FileVisit> {
    const fingerprint = fingerprintOf(stats);
    const unchanged = before?.fingerprint.text === fingerprint.text;
    if (unchanged && before?.trusted === true) return { node: before, unsettled: false };
    const ageMs = this.#now() - fingerprint.modifiedMs;
    const trusted = ageMs < 0 || ageMs > TIMESTAMP_GRANULARITY_MS;
    const read = () => readNode(path, stats, { fingerprint, trusted }, before);
    if (settle && !unchanged && this.#mustWait(path, fingerprint, ageMs, before)) {
      const whole = path.endsWith(".json") ? await read() : undefined;
      if (whole === undefined || !isWhole(whole, before)) return { node: before, unsettled: true };
      this.#waitingSinceMs.delete(path);
      return { node: whole, unsettled: false };
    }
    this.#waitingSinceMs.delete(path);
    return { node: await read(), unsettled: false };
  }

  #mustWait(
    path: string,
    fingerprint: Fingerprint,
    ageMs: number,
    before: FileNode | undefined,
  ): boolean {
    const sinceMs = this.#waitingSinceMs.get(path) ?? this.#now();
    const emptied = fingerprint.size === 0 && (before?.content.objects.length ?? 0) > 0;
    const young = ageMs >= 0 && ageMs < (emptied ? EMPTY_SETTLE_MS : WRITE_SETTLE_MS);
    const wait = young && this.#now() - sinceMs < WRITE_SETTLE_MAX_MS;
    if (this.#waitingSinceMs.size > MAX_WAITING_FILES) this.#waitingSinceMs.clear();
    if (wait) this.#waitingSinceMs.set(path, sinceMs);
    return wait;
  }
}

async function readNode(
  path: string,
  stats: BigIntStats,
  state: { readonly fingerprint: Fingerprint; readonly trusted: boolean },
  before: FileNode | undefined,
): Promise<FileNode> {
  if (!stats.isFile()) return brokenFile(path, "is no regular file", before);
  const read = await readText(path);
  if ("error" in read) return brokenFile(path, read.error, before);
  const digest = hash("sha256", read.text, "base64");
  if (before?.digest === digest) return { ...before, ...state };
  return withGood({ kind: "file", ...state, digest, content: loadText(read.text, path) }, before);
}

/** One object whose text cannot be the beginning of another: it has been written to its end. */
function isWhole({ content }: FileNode, before: FileNode | undefined): boolean {
  const objectsBefore = before?.good?.objects.length ?? 0;
  return content.isCanonicalJson === true && !content.hasErrors && objectsBefore <= 1;
}

/** A file that cannot be read: its last good content stays in force. */
export function brokenFile(path: string, reason: string, before?: FileNode): FileNode {
  if (before?.digest === reason) return before;
  const content = unreadableFile(path, reason, before?.good && "its last content stays in force");
  const fingerprint = { text: "", size: 0, modifiedMs: 0 };
  return withGood({ kind: "file", fingerprint, trusted: false, digest: reason, content }, before);
}

function withGood(node: FileNode, before: FileNode | undefined): FileNode {
  const { content } = node;
  if (content.hasErrors) return before?.good === undefined ? node : { ...node, good: before.good };
  return content.objects.length === 0 ? node : { ...node, good: content };
}
