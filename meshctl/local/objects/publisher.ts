/**
 * Publishes objects as files, one each, replaced atomically: the state folder that istiod-lite
 * watches.
 */
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { formatInventory, INVENTORY_FILE, takeInventory } from "#common/kubernetes/inventory.ts";
import { type KubernetesObject, objectKey } from "#common/kubernetes/objects.ts";
import { belongsTo, type Overlay, overlayPath, parseOverlay } from "#common/kubernetes/overlay.ts";

/** Relative to the folder of objects, and to that of overlays. */
function objectFile({ kind, metadata }: KubernetesObject): string {
  return overlayPath(kind, metadata.namespace ?? "", metadata.name);
}

export class Publisher {
  readonly #objectsDir: string;
  readonly #overlayDir: string;
  readonly #published = new Map<string, KubernetesObject>();
  /** The content of the inventory file. */
  #inventory = "";

  constructor(objectsDir: string, overlayDir: string) {
    this.#objectsDir = objectsDir;
    this.#overlayDir = overlayDir;
  }

  /** What is published now, by key. */
  get objects(): ReadonlyMap<string, KubernetesObject> {
    return this.#published;
  }

  /**
   * Makes the folder hold exactly these; an object that is the same value as before costs nothing.
   * Those that are being deleted are written last.
   */
  async publish(objects: readonly KubernetesObject[]): Promise<void> {
    const wanted = new Map(objects.map((object) => [objectKey(object), object]));
    // Files that go without having been taken off the inventory first count as lost.
    const staying = [...this.#published].filter(([key, old]) => isSame(old, wanted.get(key)));
    if (staying.length < this.#published.size) {
      await this.#writeInventory(staying.map(([, object]) => object));
    }
    for (const [key, old] of this.#published) if (!wanted.has(key)) await this.#remove(key, old);
    for (const [key, object] of endingLast(wanted)) {
      const old = this.#published.get(key);
      if (old === object) continue;
      // A new object of an old name must not inherit what was said about its predecessor.
      if (old !== undefined && !isSame(old, object)) await this.#remove(key, old);
      await this.#write(object);
      this.#published.set(key, object);
    }
    await this.#writeInventory(this.#published.values());
  }

  /**
   * What istiod-lite wrote about this very object, not about one of the same name before it;
   * undefined while there is nothing.
   */
  async overlay(object: KubernetesObject): Promise<Overlay | undefined> {
    const file = join(this.#overlayDir, objectFile(object));
    const overlay = parseOverlay(await readFile(file, "utf8").catch(() => ""));
    return overlay !== undefined && belongsTo(overlay, object) ? overlay : undefined;
  }

  async #write(object: KubernetesObject): Promise<void> {
    const file = join(this.#objectsDir, objectFile(object));
    await replaceFile(file, `.${object.metadata.name}.tmp`, `${JSON.stringify(object)}\n`);
  }

  async #writeInventory(objects: Iterable<KubernetesObject>): Promise<void> {
    const text = formatInventory(takeInventory(objects));
    if (text === this.#inventory) return;
    await replaceFile(join(this.#objectsDir, INVENTORY_FILE), ".inventory.tmp", text);
    this.#inventory = text;
  }

  async #remove(key: string, object: KubernetesObject): Promise<void> {
    this.#published.delete(key);
    await rm(join(this.#objectsDir, objectFile(object)), { force: true });
    await rm(join(this.#overlayDir, objectFile(object)), { force: true });
  }
}

/** Whether an object is the one that was published, perhaps changed, and not its successor. */
function isSame(old: KubernetesObject, now: KubernetesObject | undefined): boolean {
  return now !== undefined && old.metadata.uid === now.metadata.uid;
}

/**
 * A pod that is going away because another is ready: who reads in between must not see neither of
 * them serve.
 */
function endingLast<Key>(objects: ReadonlyMap<Key, KubernetesObject>): [Key, KubernetesObject][] {
  const ends = ([, { metadata }]: [Key, KubernetesObject]) =>
    Number(metadata.deletionTimestamp !== undefined);
  return [...objects].sort((a, b) => ends(a) - ends(b));
}

async function replaceFile(file: string, temporaryName: string, text: string): Promise<void> {
  const temporary = join(dirname(file), temporaryName);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(temporary, text);
  await rename(temporary, file);
}
