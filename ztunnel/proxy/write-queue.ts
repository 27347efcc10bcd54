/** What is on its way to one TCP peer: chunks that wait, and chunks being written. */

type Release = () => void;

export class WriteQueue {
  #waiting: Uint8Array[] = [];
  #waitingReleases: Release[] = [];
  #writing: Uint8Array[] | undefined;
  #writingReleases: Release[] = [];
  #bytes = 0;
  #writingBytes = 0;

  /** Bytes that have not left. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a write is under way. */
  get busy(): boolean {
    return this.#writing !== undefined;
  }

  get empty(): boolean {
    return this.#writing === undefined && this.#waiting.length === 0;
  }

  /** `release` is called when the chunk's memory is of no more use here. */
  push(chunk: Uint8Array, release: Release | undefined): void {
    this.#waiting.push(chunk);
    this.#bytes += chunk.length;
    if (release !== undefined) this.#waitingReleases.push(release);
  }

  /** Everything that waits, to be written now; `written` is to be called when it has left. */
  take(): Uint8Array[] {
    const chunks = this.#waiting;
    this.#writing = chunks;
    this.#writingReleases = this.#waitingReleases;
    this.#writingBytes = this.#bytes;
    this.#waiting = [];
    this.#waitingReleases = [];
    return chunks;
  }

  written(): void {
    const releases = this.#writingReleases;
    this.#bytes -= this.#writingBytes;
    this.#writing = undefined;
    this.#writingReleases = [];
    this.#writingBytes = 0;
    for (const release of releases) release();
  }

  /** Lets go of everything: the connection is closed. */
  clear(): void {
    const releases = [...this.#writingReleases, ...this.#waitingReleases];
    this.#writing = undefined;
    this.#waiting = [];
    this.#waitingReleases = [];
    this.#writingReleases = [];
    this.#bytes = 0;
    this.#writingBytes = 0;
    for (const release of releases) release();
  }
}
