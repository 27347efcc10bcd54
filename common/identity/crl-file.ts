/**
 * The revocation lists of CRL_PATH, followed while they change. What cannot be used leaves the last
 * good lists in force, and so does a file that is gone: revoked certificates stay revoked.
 */
import { open } from "node:fs/promises";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { type RevocationList, readRevocationLists, SERIAL_BYTES } from "#common/tls/crl.ts";
import { MAX_CRL_BYTES } from "#common/tls/limits.ts";
import { CRL_OVERDUE_LOG_INTERVAL_MS, TRUST_FILES_CHECK_INTERVAL_MS } from "./limits.ts";

export interface CrlFileDeps {
  readonly path: string;
  readonly onLists: (lists: readonly RevocationList[]) => void;
  readonly logger: Logger;
  /** Milliseconds since the epoch; default Date.now. */
  readonly now?: () => number;
}

/** For metrics. */
export interface CrlStatus {
  /** Certificates on all lists in force. */
  readonly revoked: number;
  /**
   * When the first of the lists is overdue; undefined where none says. Milliseconds since the
   * epoch.
   */
  readonly nextUpdate: number | undefined;
  /** Whether the file as it is now could not be used. */
  readonly failing: boolean;
}

export class CrlFile {
  readonly #deps: CrlFileDeps;
  readonly #now: () => number;
  #lists: readonly RevocationList[] = [];
  #stamp = "";
  #emptySeen = false;
  #error: string | undefined;
  #overdueToldAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(deps: CrlFileDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? Date.now;
  }

  /** Resolves after the first look; goes on looking until `close`. Never rejects. */
  async start(): Promise<void> {
    await this.check();
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.start(), TRUST_FILES_CHECK_INTERVAL_MS);
    this.#timer.unref();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  get status(): CrlStatus {
    const revoked = this.#lists.reduce((sum, { serials }) => sum + serials.length, 0);
    return {
      revoked: revoked / SERIAL_BYTES,
      nextUpdate: this.#nextUpdate(),
      failing: this.#error !== undefined && this.#stamp !== "",
    };
  }

  /** Looks at the file once. */
  async check(): Promise<void> {
    const { path, logger } = this.#deps;
    try {
      const found = await readIfChanged(path, this.#stamp);
      if (found !== undefined) this.#take(found);
      else if (this.#error?.startsWith(CANNOT_READ)) this.#error = undefined;
    } catch (error) {
      const why = describeError(error);
      if (why === this.#error) return;
      this.#error = why;
      if (this.#stamp === "" && isMissing(error)) {
        logger.info("there are no revocation lists yet", { file: path });
        return;
      }
      logger.error("revocation lists cannot be used; the last good ones stay in force", {
        file: path,
        why,
        revoked: this.status.revoked,
      });
    }
    this.#tellIfOverdue();
  }

  #take({ bytes, stamp }: { bytes: Uint8Array; stamp: string }): void {
    // A file that is being written begins empty: only one that stays so says that nothing is
    // revoked.
    if (bytes.length === 0 && this.#lists.length > 0 && !this.#emptySeen) {
      this.#emptySeen = true;
      return;
    }
    this.#emptySeen = false;
    // Remembered even if it cannot be used: one line per change, not per look.
    this.#stamp = stamp;
    this.#lists = readRevocationLists(bytes);
    this.#error = undefined;
    this.#overdueToldAt = Number.NEGATIVE_INFINITY;
    this.#deps.onLists(this.#lists);
    const { path, logger } = this.#deps;
    logger.info("revocation lists loaded", {
      file: path,
      lists: this.#lists.length,
      revoked: this.status.revoked,
    });
  }

  #nextUpdate(): number | undefined {
    const times = this.#lists.flatMap(({ nextUpdate }) => nextUpdate ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  #tellIfOverdue(): void {
    const now = this.#now();
    const nextUpdate = this.#nextUpdate();
    if (nextUpdate === undefined || nextUpdate > now) return;
    if (now - this.#overdueToldAt < CRL_OVERDUE_LOG_INTERVAL_MS) return;
    this.#overdueToldAt = now;
    this.#deps.logger.warn("a revocation list is overdue; what it revokes stays revoked", {
      file: this.#deps.path,
      nextUpdate: new Date(nextUpdate).toISOString(),
    });
  }
}

const CANNOT_READ = "cannot read";

function isMissing(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}

/** The file, unless it is the one of `lastStamp`. */
async function readIfChanged(
  path: string,
  lastStamp: string,
): Promise<{ bytes: Uint8Array; stamp: string } | undefined> {
  try {
    await using file = await open(path, "r");
    const { ino, size, mtimeMs } = await file.stat();
    const stamp = `${ino}/${size}/${mtimeMs}`;
    if (stamp === lastStamp) return undefined;
    if (size > MAX_CRL_BYTES) {
      const message = `${path} has ${size} bytes; at most ${MAX_CRL_BYTES} are read`;
      throw new MeshError("CRL_TOO_LARGE", message);
    }
    return { bytes: await file.readFile(), stamp };
  } catch (cause) {
    if (cause instanceof MeshError) throw cause;
    throw new MeshError("CRL_UNREADABLE", `${CANNOT_READ} ${path}`, {
      cause,
      hint: "mount the ConfigMap istio-ca-crl there, or unset CRL_PATH",
    });
  }
}
