/**
 * Renders a folder with a `kustomization.yaml` into objects, as `kubectl kustomize` does, for the
 * fields that manifests/ uses. Any other field is an error: what is not understood would otherwise
 * be left out in silence. A test holds the two to the same answer.
 */

import { readFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseAllDocuments } from "yaml";
import { resourceOf, resources } from "#common/kube-client/resources.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { asManifest, keyOf, type Manifest } from "./manifest.ts";
import { jsonPatch, mergePatch } from "./merge-patch.ts";

/** Of every kustomization; what else it says has no effect on objects. */
const IGNORED = ["apiVersion", "kind", "metadata"];
const FILE = "kustomization.yaml";
/** A ring of folders that name each other ends here. */
const DEPTH_MAX = 16;

interface Rendering {
  readonly folder: string;
  readonly objects: readonly Manifest[];
}

type Transformer = (rendering: Rendering, value: unknown) => Promise<readonly Manifest[]>;

/** In the order in which kustomize works them off. */
const TRANSFORMERS: Readonly<Record<string, Transformer>> = {
  configMapGenerator: generateConfigMaps,
  components: ({ folder, objects }, value) => addComponents(folder, objects, value),
  patches: applyPatches,
  namespace: async ({ objects }, value) => objects.map((object) => intoNamespace(object, value)),
  labels: async ({ objects }, value) => addLabels(objects, value),
  images: async ({ objects }, value) => replaceImages(objects, value),
};

/** Throws a MeshError that names the file and field which cannot be rendered. */
export function renderKustomization(folder: string): Promise<readonly Manifest[]> {
  return render(folder, [], 0);
}

async function render(folder: string, base: readonly Manifest[], depth: number) {
  const file = join(folder, FILE);
  if (depth > DEPTH_MAX) throw broken(file, "folders name each other in a ring");
  const [value] = await readDocuments(file);
  if (!isJsonObject(value)) throw broken(file, "it is no object");
  const { resources = [], ...rest } = value;
  let objects = base;
  for (const path of textsOf(file, "resources", resources)) {
    const found = await resource(resolve(folder, path), depth);
    const known = new Set(objects.map(keyOf));
    const twice = found.find((object) => known.has(keyOf(object)));
    if (twice !== undefined) throw broken(file, `${keyOf(twice)} comes twice`);
    objects = [...objects, ...found];
  }
  const unknown = Object.keys(rest).find((key) => !IGNORED.includes(key) && !(key in TRANSFORMERS));
  if (unknown !== undefined) throw broken(file, `meshctl does not know the field ${unknown}`);
  for (const [field, transform] of Object.entries(TRANSFORMERS)) {
    if (rest[field] !== undefined) objects = await transform({ folder, objects }, rest[field]);
  }
  return objects;
}

async function resource(path: string, depth: number): Promise<readonly Manifest[]> {
  const found = await stat(path).catch((cause: unknown) => {
    throw broken(path, describeError(cause));
  });
  if (found.isDirectory()) return render(path, [], depth + 1);
  const documents = await readDocuments(path);
  return documents.filter((value) => value !== null).map((value) => asManifest(value, path));
}

async function addComponents(folder: string, objects: readonly Manifest[], value: unknown) {
  let all = objects;
  for (const path of textsOf(folder, "components", value)) {
    all = await render(resolve(folder, path), all, 1);
  }
  return all;
}

async function applyPatches({ folder, objects }: Rendering, value: unknown) {
  let all = objects;
  for (const entry of listOf(folder, "patches", value)) {
    const { path, patch, target, ...others } = isJsonObject(entry) ? entry : {};
    const [unknown] = Object.keys(others);
    if (unknown !== undefined) throw broken(folder, `meshctl does not know patches.${unknown}`);
    const text = typeof patch === "string" ? patch : undefined;
    const documents =
      text === undefined
        ? await readDocuments(resolve(folder, String(path)))
        : parseDocuments(text, `${folder}: a patch`);
    for (const document of documents) all = applyPatch(folder, all, document, target);
  }
  return all;
}

function applyPatch(
  folder: string,
  objects: readonly Manifest[],
  patch: unknown,
  target: unknown,
): readonly Manifest[] {
  const wanted = isJsonObject(target) ? target : isJsonObject(patch) ? targetOf(patch) : {};
  const chosen = objects.filter((object) => isTarget(object, wanted));
  if (chosen.length === 0) {
    throw broken(folder, `a patch is for ${JSON.stringify(wanted)}, which is not there`);
  }
  return objects.flatMap((object): readonly Manifest[] => {
    if (!chosen.includes(object)) return [object];
    if (Array.isArray(patch)) return [asManifest(jsonPatch(object, patch), folder)];
    if (!isJsonObject(patch)) throw broken(folder, "a patch is neither an object nor a list");
    if (patch.$patch === "delete") return [];
    const { apiVersion, kind, metadata } = object;
    // A patch with a target of its own may call itself anything.
    const merged = mergePatch(object, patch);
    const own = { ...(isJsonObject(merged.metadata) ? merged.metadata : {}), name: metadata.name };
    return [asManifest({ ...merged, apiVersion, kind, metadata: own }, folder)];
  });
}

function targetOf({ kind, metadata }: JsonObject): JsonObject {
  const { name, namespace } = isJsonObject(metadata) ? metadata : {};
  return { kind, name, ...(namespace !== undefined && { namespace }) };
}

function isTarget(object: Manifest, target: JsonObject): boolean {
  const { kind, name, namespace, labelSelector } = target;
  const matches = (pattern: unknown, text: string | undefined) =>
    pattern === undefined || new RegExp(`^(?:${String(pattern)})$`).test(text ?? "");
  const { metadata } = object;
  const labels = typeof labelSelector === "string" ? labelSelector.split(",") : [];
  return (
    matches(kind, object.kind) &&
    matches(name, metadata.name) &&
    matches(namespace, metadata.namespace) &&
    labels.every((pair) => {
      const [key = "", value] = pair.split("=");
      return metadata.labels?.[key] === value;
    })
  );
}

async function generateConfigMaps({ folder, objects }: Rendering, value: unknown) {
  const made: Manifest[] = [];
  for (const entry of listOf(folder, "configMapGenerator", value)) {
    const { name, namespace, files = [], options } = isJsonObject(entry) ? entry : {};
    const { disableNameSuffixHash, labels, annotations } = isJsonObject(options) ? options : {};
    if (disableNameSuffixHash !== true) {
      throw broken(folder, `configMapGenerator ${String(name)} needs disableNameSuffixHash: true`);
    }
    const data: Record<string, string> = {};
    for (const path of textsOf(folder, "files", files)) {
      const [key = "", file = key] = path.split("=");
      data[key.split("/").at(-1) ?? key] = await readText(resolve(folder, file));
    }
    const metadata = {
      ...(labels !== undefined && { labels }),
      ...(annotations !== undefined && { annotations }),
      name,
      ...(namespace !== undefined && { namespace }),
    };
    made.push(asManifest({ apiVersion: "v1", kind: "ConfigMap", metadata, data }, folder));
  }
  return [...objects, ...made];
}

function intoNamespace(object: Manifest, namespace: unknown): Manifest {
  if (typeof namespace !== "string") throw broken("namespace", "it is no text");
  if (!isNamespaced(object.kind)) return object;
  return { ...object, metadata: { ...object.metadata, namespace } };
}

/** Kinds that nobody knows here are taken for such, as most are. */
function isNamespaced(kind: string): boolean {
  return !Object.hasOwn(resources, kind) || resourceOf(kind).namespaced;
}

function addLabels(objects: readonly Manifest[], value: unknown): readonly Manifest[] {
  let all = objects;
  for (const entry of listOf("labels", "labels", value)) {
    const {
      pairs,
      includeSelectors = false,
      includeTemplates = false,
    } = isJsonObject(entry) ? entry : {};
    if (includeSelectors !== false || !isJsonObject(pairs)) {
      throw broken(
        "labels",
        "they have no pairs, or includeSelectors, which meshctl does not know",
      );
    }
    all = all.map((object) => labelled(object, pairs, includeTemplates === true));
  }
  return all;
}

function labelled(object: Manifest, pairs: JsonObject, withTemplate: boolean): Manifest {
  const own = mergePatch(object, { metadata: { labels: pairs } });
  const hasTemplate = isJsonObject(object.spec) && isJsonObject(object.spec.template);
  const all =
    withTemplate && hasTemplate
      ? mergePatch(own, { spec: { template: { metadata: { labels: pairs } } } })
      : own;
  return all as Manifest;
}

function replaceImages(objects: readonly Manifest[], value: unknown): readonly Manifest[] {
  const images = listOf("images", "images", value).filter(isJsonObject);
  return objects.map((object) => mapImages(object, (image) => replaced(image, images)));
}

function replaced(image: string, rules: readonly JsonObject[]): string {
  const [, name = image, tag = ""] = /^(.*?)((?::[^:/@]+)?(?:@.*)?)$/.exec(image) ?? [];
  const rule = rules.find((candidate) => candidate.name === name);
  if (rule === undefined) return image;
  const { newName = name, newTag, digest } = rule;
  const suffix =
    digest !== undefined ? `@${String(digest)}` : newTag !== undefined ? `:${String(newTag)}` : tag;
  return `${String(newName)}${suffix}`;
}

/** Changes the image of every container of an object. */
export function mapImages(object: Manifest, change: (image: string) => string): Manifest {
  const walk = (value: unknown, key: string): unknown => {
    if (Array.isArray(value)) {
      const isContainers = key === "containers" || key === "initContainers";
      return value.map((item) => {
        if (!isContainers || !isJsonObject(item) || typeof item.image !== "string") {
          return walk(item, "");
        }
        return { ...item, image: change(item.image) };
      });
    }
    if (!isJsonObject(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, walk(item, name)]),
    );
  };
  return walk(object, "") as Manifest;
}

function listOf(where: string, field: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw broken(where, `${field} is no list`);
}

function textsOf(where: string, field: string, value: unknown): readonly string[] {
  const texts = listOf(where, field, value);
  if (texts.every((text) => typeof text === "string")) return texts;
  throw broken(where, `${field} has an item that is no text`);
}

async function readDocuments(file: string): Promise<readonly unknown[]> {
  return parseDocuments(await readText(file), file);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw broken(dirname(file) === "" ? "." : file, describeError(cause));
  }
}

function parseDocuments(text: string, origin: string): readonly unknown[] {
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) return [];
  return documents.map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw broken(origin, error.message);
    return document.toJS();
  });
}

function broken(where: string, why: string): MeshError {
  return new MeshError("MANIFEST", `${where} cannot be rendered: ${why}`, {
    hint: "kubectl kustomize FOLDER | kubectl apply --server-side -f - takes every field there is",
  });
}
