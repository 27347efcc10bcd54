/**
 * Objects that istiod-lite wants beside those of a folder: one file per owner, a List, in a folder
 * of its own. Whoever runs the objects of the source runs these as well.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { KubernetesKind } from "#common/kubernetes/objects.ts";
import { overlayPath } from "#common/kubernetes/overlay.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { OwnedObject, OwnedObjectsWriter } from "#istiod-lite/config/source.ts";

const SCALING: ReadonlySet<string> = new Set(["PodDisruptionBudget", "HorizontalPodAutoscaler"]);

export class FolderOwnedObjects implements OwnedObjectsWriter {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async apply(owner: string, wanted: readonly OwnedObject[]): Promise<void> {
    const file = this.#file(owner);
    // Nobody scales or drains a folder's pods.
    const objects = wanted.filter(({ kind }) => !SCALING.has(kind));
    try {
      if (objects.length === 0) return await rm(file, { force: true });
      const list = { apiVersion: "v1", kind: "List", items: objects };
      const text = `${JSON.stringify(list, null, 2)}\n`;
      if ((await readFile(file, "utf8").catch(() => "")) === text) return;
      await mkdir(dirname(file), { recursive: true });
      await writeFile(`${file}.tmp`, text);
      await rename(`${file}.tmp`, file);
    } catch (cause) {
      const hint = `check that ${this.#folder} can be written and that its disk is not full`;
      throw new MeshError("OWNED_WRITE_FAILED", `cannot write ${file}`, { cause, hint });
    }
  }

  async keepOnly(owners: ReadonlySet<string>): Promise<void> {
    const kept = new Set([...owners].map((owner) => this.#file(owner)));
    const names = await readdir(this.#folder, { recursive: true }).catch(() => []);
    for (const name of names) {
      const file = join(this.#folder, name);
      if (name.endsWith(".json") && !kept.has(file)) await rm(file, { force: true });
    }
  }

  #file(owner: string): string {
    const [kind = "", namespace = "", name = ""] = owner.split("/");
    return join(this.#folder, overlayPath(kind as KubernetesKind, namespace, name));
  }
}
