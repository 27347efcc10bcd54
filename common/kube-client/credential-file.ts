/** A file that proves something, and that somebody else may replace at any time. */
import { open } from "node:fs/promises";
import { CREDENTIAL_FILE_BYTES, CREDENTIAL_RECHECK_MS } from "#common/kube-client/limits.ts";
import { MeshError } from "#common/runtime/errors.ts";

export class CredentialFile {
  readonly path: string;
  readonly #now: () => number;
  #text: string | undefined;
  #readMs = 0;

  constructor(path: string, now: () => number = Date.now) {
    this.path = path;
    this.#now = now;
  }

  /**
   * Its text, at most `CREDENTIAL_RECHECK_MS` old. A file that cannot be read any more counts as
   * unchanged; one that never could is a MeshError KUBE_CREDENTIALS.
   */
  async read(): Promise<string> {
    const now = this.#now();
    if (this.#text !== undefined && now - this.#readMs < CREDENTIAL_RECHECK_MS) return this.#text;
    this.#readMs = now;
    try {
      this.#text = await readBounded(this.path);
    } catch (cause) {
      if (this.#text === undefined) {
        throw new MeshError("KUBE_CREDENTIALS", `${this.path} cannot be read`, {
          cause,
          hint: "check the path and its permissions",
        });
      }
    }
    return this.#text;
  }

  /** Reads it again now. True if it says something else than before. */
  async changed(): Promise<boolean> {
    const before = this.#text;
    this.#readMs = Number.NEGATIVE_INFINITY;
    return (await this.read()) !== before;
  }
}

async function readBounded(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size > CREDENTIAL_FILE_BYTES) {
      throw new MeshError("KUBE_CREDENTIALS", `it is larger than ${CREDENTIAL_FILE_BYTES} bytes`);
    }
    const text = await file.readFile("utf8");
    if (text === "") throw new MeshError("KUBE_CREDENTIALS", "it is empty");
    return text;
  } finally {
    await file.close();
  }
}
