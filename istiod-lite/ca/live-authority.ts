/**
 * The CA while its files change: a plugged-in CA or a second root that is put into the folder is
 * used from then on, without a restart. What cannot be used leaves the last good CA in force, and
 * says so once.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { CA_CHECK_INTERVAL_MS } from "../limits.ts";
import { CA_FILES, type LoadCaOptions, loadCertificateAuthority, reloadCa } from "./ca-files.ts";
import type { CertificateAuthority } from "./certificate-authority.ts";

export interface LiveAuthorityOptions extends LoadCaOptions {
  readonly logger: Logger;
}

export class LiveAuthority {
  readonly #options: LiveAuthorityOptions;
  #current: CertificateAuthority;
  /** What the files in use look like. */
  #stamp: string;
  /** What they looked like the last time, if that was otherwise: files are taken when they rest. */
  #seen: string;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Called after another CA or other roots are in force. */
  onChange: () => void = () => undefined;

  private constructor(options: LiveAuthorityOptions, current: CertificateAuthority, stamp: string) {
    this.#options = options;
    this.#current = current;
    this.#stamp = stamp;
    this.#seen = stamp;
  }

  /** Loads the CA, or makes one: as `loadCertificateAuthority`. */
  static async load(options: LiveAuthorityOptions): Promise<LiveAuthority> {
    const authority = await loadCertificateAuthority(options);
    return new LiveAuthority(options, authority, await stampOf(options.dir));
  }

  /** The CA to issue with now; not to be kept. */
  get current(): CertificateAuthority {
    return this.#current;
  }

  /** Looks at the files every CA_CHECK_INTERVAL_MS, until `close`. */
  watch(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.check().finally(() => this.watch());
    }, CA_CHECK_INTERVAL_MS);
    this.#timer.unref();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Looks at the files once. A change is taken at the second look that finds it the same. */
  async check(): Promise<void> {
    const { dir, logger } = this.#options;
    const stamp = await stampOf(dir);
    const rests = stamp === this.#seen;
    this.#seen = stamp;
    if (!rests || stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      const loaded = await reloadCa(this.#options);
      if (loaded.isSameAs(this.#current)) return;
      this.#current = loaded;
    } catch (error) {
      const why = describeError(error);
      logger.error("the CA's files cannot be used; the last good CA stays in force", { dir, why });
      return;
    }
    logger.info("another CA is in force", { dir, ...this.#current.summary });
    this.onChange();
  }
}

async function stampOf(dir: string): Promise<string> {
  const stamps = await Promise.all(
    Object.values(CA_FILES).map(async (name) => {
      try {
        const { ino, size, mtimeMs } = await stat(join(dir, name));
        return `${ino}/${size}/${mtimeMs}`;
      } catch {
        // Whatever keeps a file from being looked at is told by those who have to read it.
        return "-";
      }
    }),
  );
  return stamps.join(" ");
}
