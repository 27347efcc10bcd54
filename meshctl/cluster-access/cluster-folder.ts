/**
 * The folder that a cluster follows, for commands that change what is in it: a document is edited
 * where it stands, comments and all, and files are replaced as a whole.
 */
import { readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";
import { type Document, LineCounter, parseAllDocuments, stringify } from "yaml";
import { type LoadedObject, loadFolder } from "#common/kubernetes/load-folder.ts";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { ControlClient } from "#meshctl/local/control/client.ts";

type Place = Pick<LoadedObject, "file" | "line">;

export class ClusterFolder {
  readonly #folder: string;
  readonly #client: ControlClient;

  private constructor(folder: string, client: ControlClient) {
    this.#folder = folder;
    this.#client = client;
  }

  static async of(client: ControlClient): Promise<ClusterFolder> {
    const { folder } = await client.info();
    // The cluster names it as its first process sees it, which has a working directory of its own.
    const seen = isAbsolute(folder)
      ? client.outside(folder)
      : join(`/proc/${client.initPid}/cwd`, folder);
    return new ClusterFolder(seen, client);
  }

  /** The object in force, and where it stands; undefined where there is none of that name. */
  async find(kind: string, namespace: string, name: string): Promise<LoadedObject | undefined> {
    const { objects } = await loadFolder(this.#folder);
    return objects.find(
      ({ object: { kind: own, metadata } }) =>
        own === kind && metadata.name === name && (metadata.namespace ?? "") === namespace,
    );
  }

  /** Writes an object into a file of its own, in place of what was there. */
  async write(file: string, object: KubernetesObject): Promise<void> {
    await replaceFile(join(this.#folder, file), stringify(object));
  }

  /** Changes the document of an object. */
  async edit(place: Place, change: (document: Document) => void): Promise<void> {
    const { documents, index } = await this.#documents(place);
    const document = documents[index];
    if (document !== undefined) change(document);
    await replaceFile(place.file, documents.map(String).join(""));
  }

  /** Takes the document of an object out of its file, and the file away where it was the last. */
  async remove(place: Place): Promise<void> {
    const { documents, index } = await this.#documents(place);
    const left = documents.filter((_, i) => i !== index);
    if (left.every(({ contents }) => contents === null)) await rm(place.file);
    else await replaceFile(place.file, left.map(String).join(""));
  }

  /** Resolves when the cluster has taken in what the folder says now. */
  async taken(): Promise<void> {
    await this.#client.refresh();
  }

  async #documents({ file, line }: Place) {
    const lines = new LineCounter();
    const documents = parseAllDocuments(await readFile(file, "utf8"), { lineCounter: lines });
    if (!Array.isArray(documents)) throw notFound(file);
    const index = documents.findIndex(({ contents }) => {
      const offset = contents?.range?.[0];
      return offset !== undefined && lines.linePos(offset).line === line;
    });
    if (index < 0) throw notFound(`${file}:${line}`);
    return { documents: documents as Document[], index };
  }
}

function notFound(where: string): MeshError {
  return new MeshError("NOT_A_DOCUMENT", `${where} is no document of its own`, {
    hint: "it is an item of a List: edit it there by hand",
  });
}

/** A link stays one: what it leads to is replaced. */
async function replaceFile(file: string, text: string): Promise<void> {
  const target = await realpath(file).catch(() => file);
  const temporary = join(dirname(target), `.${basename(target)}.tmp`);
  await writeFile(temporary, text);
  await rename(temporary, target);
}
