/**
 * The overlays of a folder source: in memory, and as files that outlive the process. This process
 * is their only writer; what it writes comes back to readers through `onChange`, after it is on
 * disk.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { KubernetesKind } from "#common/kubernetes/objects.ts";
import { type Overlay, overlayPath, parseOverlay } from "#common/kubernetes/overlay.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { ObjectReference } from "#istiod-lite/config/source.ts";

/** `<kind>/<namespace>/<name>`, as `objectKey` makes it. */
export function referenceKey({ kind, namespace, name }: ObjectReference): string {
  return `${kind}/${namespace}/${name}`;
}

export class OverlayStore {
  readonly #folder: string;
  readonly #overlays = new Map<string, Overlay>();
  /** Called with the key of an object whose overlay changed. */
  onChange: (key: string) => void = () => undefined;
  /** Writes happen one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
  }

  get(key: string): Overlay | undefined {
    return this.#overlays.get(key);
  }

  keys(): string[] {
    return [...this.#overlays.keys()];
  }

  /**
   * Reads what a previous process left behind. What does not read as an overlay is skipped; the
   * first write to its object replaces it.
   */
  async load(): Promise<void> {
    const names = await readdir(this.#folder, { recursive: true }).catch(() => []);
    for (const name of names) {
      const [kind, namespace, file, ...rest] = name.split("/");
      if (file === undefined || rest.length > 0) continue;
      // A name that begins with a dot is a write that did not come to its end.
      if (!file.endsWith(".json") || file.startsWith(".")) continue;
      const text = await readFile(join(this.#folder, name), "utf8").catch(() => "");
      const overlay = parseOverlay(text);
      if (overlay === undefined) continue;
      const scope = namespace === "_" ? "" : namespace;
      this.#overlays.set(`${kind}/${scope}/${file.slice(0, -".json".length)}`, overlay);
    }
  }

  /**
   * Replaces an overlay by what `change` makes of the present one; undefined leaves everything as
   * it is. Throws MeshError if the file cannot be written; the overlay is then unchanged.
   */
  async update(
    reference: ObjectReference,
    change: (before: Overlay | undefined) => Overlay | undefined,
  ): Promise<void> {
    const key = referenceKey(reference);
    await this.#enqueue(async () => {
      const overlay = change(this.#overlays.get(key));
      if (overlay === undefined) return;
      await this.#write(reference, overlay);
      this.#overlays.set(key, overlay);
      this.onChange(key);
    });
  }

  /** Removes the overlay of an object that is gone, if `stillGone` says so when its turn comes. */
  async remove(key: string, stillGone: (overlay: Overlay) => boolean): Promise<void> {
    await this.#enqueue(async () => {
      const overlay = this.#overlays.get(key);
      if (overlay === undefined || !stillGone(overlay)) return;
      const [kind = "", namespace = "", name = ""] = key.split("/");
      this.#overlays.delete(key);
      await rm(this.#path({ kind: kind as KubernetesKind, namespace, name }), { force: true });
    });
  }

  /** Resolves when everything asked for so far is on disk. */
  async close(): Promise<void> {
    await this.#last;
  }

  async #enqueue(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    await turn;
  }

  #path({ kind, namespace, name }: ObjectReference): string {
    return join(this.#folder, overlayPath(kind, namespace, name));
  }

  async #write(reference: ObjectReference, overlay: Overlay): Promise<void> {
    const path = this.#path(reference);
    const temporary = join(dirname(path), `.${reference.name}.json.tmp`);
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(temporary, `${JSON.stringify(overlay, null, 2)}\n`);
      await rename(temporary, path);
    } catch (cause) {
      const hint = `check that ${this.#folder} can be written and that its disk is not full`;
      throw new MeshError("OVERLAY_WRITE_FAILED", `cannot write ${path}`, { cause, hint });
    }
  }
}
