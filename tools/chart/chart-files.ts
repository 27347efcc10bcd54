/**
 * Makes a Helm chart out of rendered manifests: every object a template that says the same, but for
 * what SETTINGS lets users set; values.yaml holds what the manifests say there.
 */

import { Document, parseDocument, stringify } from "yaml";
import { isJsonObject } from "#common/runtime/json-object.ts";
import { VERSION } from "#common/runtime/version.ts";
import type { Manifest } from "#meshctl/install/manifest.ts";
import { IMAGE_COMMENT, NAMESPACE_COMMENT, SETTINGS, type Setting } from "./settings.ts";

/** Stands where a template's action comes: [[form value indent]]. */
const MARK = /\[\[(scalar|yaml|extra|image|policy) ?([A-Za-z.]*)\]\]/;

type Json = Record<string, unknown>;

/**
 * Content of every generated file by its path in the chart. `definitions` are files of CRDs by
 * name: copies, for what Helm packs may hold no links, and not every checkout does.
 */
export function chartFiles(
  manifests: readonly Manifest[],
  definitions: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const values: Json = { ...imageValues(manifests), namespace: { create: false } };
  const files = new Map<string, string>();
  for (const manifest of manifests) {
    const object = structuredClone(manifest) as unknown as Json & Manifest;
    for (const setting of SETTINGS) {
      if (setting.object === `${object.kind}/${object.metadata.name}`)
        mark(object, setting, values);
    }
    markImages(object);
    const name = `${kebab(object.kind)}-${object.metadata.name}.yaml`;
    files.set(`templates/${name}`, template(object));
  }
  const unused = SETTINGS.filter(({ name }) => get(values, name.split(".")) === undefined);
  if (unused.length > 0) throw new Error(`no object for ${unused.map(({ name }) => name)}`);
  for (const [name, text] of definitions) files.set(`crds/${name}`, text);
  files.set("values.yaml", valuesFile(values));
  files.set("Chart.yaml", CHART);
  return files;
}

const CHART = `# Generated from manifests/base by \`npm run generate:chart\`, as all of this folder.
apiVersion: v2
name: ambient-mesh
description: A service mesh without sidecars
type: application
version: ${VERSION}
appVersion: ${VERSION}
kubeVersion: ">=1.30.0-0"
`;

function template(object: Manifest): string {
  const lines = stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })
    .split("\n")
    .map(action);
  const text = lines.join("\n");
  const condition = Object.hasOwn(CONDITIONS, object.kind) ? CONDITIONS[object.kind] : undefined;
  return condition === undefined ? text : `{{- if ${condition} }}\n${text}{{- end }}\n`;
}

/** Kinds that are made only sometimes; a cluster may not have the Gateway API. */
const CONDITIONS: Readonly<Record<string, string>> = {
  Namespace: ".Values.namespace.create",
  GatewayClass: '.Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1/GatewayClass"',
};

/** A line of YAML with the template's action in place of a mark. */
function action(line: string): string {
  const [whole, form, name] = MARK.exec(line) ?? [];
  if (whole === undefined) return line;
  const indent = line.length - line.trimStart().length;
  const before = line.slice(0, line.indexOf(whole)).replace(/["']$/, "").trimEnd();
  switch (form) {
    case "extra":
      return [
        `{{- with .Values.${name} }}`,
        `{{ toYaml . | indent ${indent} }}`,
        "{{- end }}",
      ].join("\n");
    case "yaml":
      return `${before}\n{{ toYaml .Values.${name} | indent ${indent + 2} }}`;
    case "image":
      return `${before} "{{ .Values.image.repository }}:{{ .Values.image.tag }}"`;
    case "policy":
      return `${before} {{ .Values.image.pullPolicy }}`;
    default:
      return `${before} {{ .Values.${name} }}`;
  }
}

function mark(object: Json, { name, form, path }: Setting, values: Json): void {
  const last = path.at(-1) ?? "";
  const parent = descend(object, path.slice(0, -1));
  const value = parent[last];
  if (form === "extra") {
    const items = Array.isArray(value) ? value : [];
    parent[last] = [...items, `[[extra ${name}]]`];
    set(values, name.split("."), []);
    return;
  }
  set(values, name.split("."), value);
  parent[last] = `[[${form} ${name}]]`;
}

/** Items of lists are found by their name. */
function descend(object: Json, path: readonly string[]): Json {
  let at: unknown = object;
  for (const key of path) {
    at = Array.isArray(at) ? at.find(({ name }) => name === key) : (at as Json | undefined)?.[key];
  }
  if (isJsonObject(at)) return at as Json;
  throw new Error(`there is no ${path.join(".")}`);
}

function containersOf(object: Json): Json[] {
  const spec = get(object, ["spec", "template", "spec"]);
  if (!isJsonObject(spec)) return [];
  return [spec.initContainers, spec.containers].flatMap((list) => (list ?? []) as Json[]);
}

function markImages(object: Json): void {
  for (const container of containersOf(object)) {
    container.image = "[[image]]";
    container.imagePullPolicy = "[[policy]]";
  }
}

/** All containers run one image. */
function imageValues(manifests: readonly Manifest[]): Json {
  const containers = manifests.flatMap((manifest) => containersOf(manifest as Json));
  const images = new Set(containers.map(({ image }) => String(image)));
  const [image = "", ...others] = images;
  if (others.length > 0) throw new Error(`the chart knows one image: ${[...images]}`);
  const colon = image.lastIndexOf(":");
  const [repository, tag] = [image.slice(0, colon), image.slice(colon + 1)];
  return { image: { repository, tag, pullPolicy: containers[0]?.imagePullPolicy } };
}

function valuesFile(values: Json): string {
  const document = new Document(values);
  const text = document.toString({ lineWidth: 0 });
  const parsed = parseDocument(text);
  const comments = new Map([
    ["image", IMAGE_COMMENT],
    ["namespace", NAMESPACE_COMMENT],
    ...SETTINGS.map(({ name, comment }) => [name, comment] as const),
  ]);
  const lines: string[] = [];
  const path: string[] = [];
  for (const line of parsed.toString({ lineWidth: 0 }).split("\n")) {
    const [, space = "", key] = /^( *)([A-Za-z]+):/.exec(line) ?? [];
    if (key !== undefined) {
      path.length = space.length / 2;
      path.push(key);
      const comment = comments.get(path.join("."));
      if (comment !== undefined) lines.push(...wrapped(comment, space));
    }
    lines.push(line);
  }
  return lines.join("\n");
}

/** Comment lines of at most 100 columns. */
function wrapped(text: string, space: string): string[] {
  const lines: string[] = [];
  let line = `${space}#`;
  for (const word of text.split(" ")) {
    if (line.length + word.length + 1 > 100) {
      lines.push(line);
      line = `${space}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

function get(object: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => (isJsonObject(at) ? at[key] : undefined), object);
}

function set(object: Json, path: readonly string[], value: unknown): void {
  const [first = "", ...rest] = path;
  if (rest.length === 0) {
    object[first] = value;
    return;
  }
  object[first] ??= {};
  set(object[first] as Json, rest, value);
}

function kebab(kind: string): string {
  return kind.replace(/(?<=[a-z])[A-Z]/g, "-$&").toLowerCase();
}
