/**
 * Checks that need more than one object: duplicates across files, namespaces that do not exist.
 * Kept up to date file by file: what is looked at follows the change, and what is wrong.
 */
import type { LoadedObject } from "#common/kubernetes/load-result.ts";
import type { UnknownKind } from "#common/kubernetes/load-text.ts";
import { objectKey } from "#common/kubernetes/objects.ts";
import type { Problem } from "#common/kubernetes/problem.ts";

/** Namespaces that every cluster of the mesh has. */
const BUILT_IN_NAMESPACES: ReadonlySet<string> = new Set([
  "default",
  "kube-system",
  "istio-system",
]);

export class CrossChecks {
  readonly #files = new Map<string, readonly LoadedObject[]>();
  readonly #unknownKinds = new Map<string, readonly UnknownKind[]>();
  /** One per key: the first, in the order of files. */
  readonly #owners = new Map<string, LoadedObject>();
  /** All others of a key that several objects have, in that order. */
  readonly #rivals = new Map<string, LoadedObject[]>();
  /** Owners by their namespace. */
  readonly #inNamespace = new Map<string, Set<LoadedObject>>();
  /** Namespaces that objects are in, and that are not there. */
  readonly #missing = new Set<string>();

  owner(key: string): LoadedObject | undefined {
    return this.#owners.get(key);
  }

  /** Takes a file in that is not there yet, its objects in their order. */
  put(file: string, objects: readonly LoadedObject[], unknownKinds: readonly UnknownKind[]): void {
    this.#files.set(file, objects);
    if (unknownKinds.length > 0) this.#unknownKinds.set(file, unknownKinds);
    for (const entry of objects) {
      const key = objectKey(entry.object);
      const owner = this.#owners.get(key);
      if (owner === undefined) this.#own(key, undefined, entry);
      else this.#contend(key, owner, [...(this.#rivals.get(key) ?? []), owner, entry]);
    }
  }

  remove(file: string): void {
    const objects = this.#files.get(file) ?? [];
    for (const entry of objects) {
      const key = objectKey(entry.object);
      const owner = this.#owners.get(key);
      const rivals = this.#rivals.get(key) ?? [];
      const left = [...(owner === undefined ? [] : [owner]), ...rivals].filter((e) => e !== entry);
      this.#contend(key, owner, left);
    }
    this.#files.delete(file);
    this.#unknownKinds.delete(file);
  }

  /** In no order. */
  problems(): Problem[] {
    const problems = this.#oncePerKind();
    for (const [key, rivals] of this.#rivals) {
      const first = this.#owners.get(key);
      if (first !== undefined) problems.push(...rivals.map((entry) => duplicate(entry, first)));
    }
    for (const namespace of this.#missing) {
      const entries = [...(this.#inNamespace.get(namespace) ?? [])];
      const first = entries.reduce((a, b) => (this.#compare(a, b) <= 0 ? a : b));
      problems.push(missingNamespace(first, namespace));
    }
    return problems;
  }

  /** Settles who of those that have the key is its owner. */
  #contend(key: string, owner: LoadedObject | undefined, entries: LoadedObject[]): void {
    if (entries.length > 1) entries.sort((a, b) => this.#compare(a, b));
    const [first, ...rivals] = entries;
    if (rivals.length > 0) this.#rivals.set(key, rivals);
    else this.#rivals.delete(key);
    if (first !== owner) this.#own(key, owner, first);
  }

  #own(key: string, before: LoadedObject | undefined, now: LoadedObject | undefined): void {
    if (now === undefined) this.#owners.delete(key);
    else this.#owners.set(key, now);
    for (const entry of [before, now]) {
      if (entry === undefined) continue;
      const { kind, metadata } = entry.object;
      const name = kind === "Namespace" ? metadata.name : metadata.namespace;
      if (name === undefined) continue;
      if (kind !== "Namespace") this.#place(name, entry, entry === now);
      this.#checkNamespace(name);
    }
  }

  #place(namespace: string, entry: LoadedObject, isThere: boolean): void {
    const entries = this.#inNamespace.get(namespace) ?? new Set();
    if (isThere) entries.add(entry);
    else entries.delete(entry);
    if (entries.size > 0) this.#inNamespace.set(namespace, entries);
    else this.#inNamespace.delete(namespace);
  }

  #checkNamespace(name: string): void {
    const exists = BUILT_IN_NAMESPACES.has(name) || this.#owners.has(`Namespace//${name}`);
    if (!exists && this.#inNamespace.has(name)) this.#missing.add(name);
    else this.#missing.delete(name);
  }

  #compare(a: LoadedObject, b: LoadedObject): number {
    if (a.file !== b.file) return compareFiles(a.file, b.file);
    const objects = this.#files.get(a.file) ?? [];
    return objects.indexOf(a) - objects.indexOf(b);
  }

  #oncePerKind(): Problem[] {
    const firsts = new Map<string, Problem>();
    for (const file of [...this.#unknownKinds.keys()].sort(compareFiles)) {
      for (const { name, problem } of this.#unknownKinds.get(file) ?? []) {
        if (!firsts.has(name)) firsts.set(name, problem);
      }
    }
    return [...firsts.values()];
  }
}

/** The order in which a tree is read: name by name, each directory where its name stands. */
function compareFiles(a: string, b: string): number {
  const [left, right] = [a.split("/"), b.split("/")];
  const at = left.findIndex((step, index) => step !== right[index]);
  const [step = "", other] = [left[at], right[at]];
  if (at < 0 || other === undefined) return left.length - right.length;
  return step < other ? -1 : 1;
}

function duplicate(entry: LoadedObject, first: LoadedObject): Problem {
  const { kind, metadata } = entry.object;
  const name = metadata.namespace === undefined ? "" : `${metadata.namespace}/`;
  const message = `${kind} ${name}${metadata.name} exists already, in ${first.file}:${first.line}`;
  return at(
    entry,
    "error",
    "metadata.name",
    message,
    "the first one counts: remove one of the two",
  );
}

function missingNamespace(entry: LoadedObject, namespace: string): Problem {
  const message = `there is no Namespace ${namespace}`;
  const hint = "a cluster refuses objects of a namespace that does not exist: add it";
  return at(entry, "warning", "metadata.namespace", message, hint);
}

function at(
  { file, line }: LoadedObject,
  severity: Problem["severity"],
  field: string,
  message: string,
  hint: string,
): Problem {
  return { severity, file, line, column: 1, field, message, hint };
}
