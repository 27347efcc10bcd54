/** The fields of a spec as paths, from a validator and from a CRD: for comparing them. */
import type { KindDefinition } from "#common/kubernetes/validate/metadata.ts";
import type { Schema } from "#common/kubernetes/validate/schema.ts";
import type { OpenApi } from "./note.ts";

/** `spec.rules[].from[].source` and so on: whatever has a name, without the status. */
export function fieldPaths({ schema }: KindDefinition): ReadonlySet<string> {
  const paths = new Set<string>();
  if (schema.type === "object") collect(schema.fields.spec, "spec", paths);
  return paths;
}

function collect(schema: Schema | undefined, path: string, paths: Set<string>): void {
  if (schema?.type === "list") collect(schema.item, `${path}[]`, paths);
  if (schema?.type === "map") collect(schema.value, `${path}{}`, paths);
  if (schema?.type !== "object") return;
  const aliases = Object.entries(schema.aliases).map(([alias, field]) => {
    return [alias, schema.fields[field]] as const;
  });
  for (const [name, field] of [...Object.entries(schema.fields), ...aliases]) {
    paths.add(`${path}.${name}`);
    collect(field, `${path}.${name}`, paths);
  }
}

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly additionalProperties?: Node | boolean;
}

interface Crd {
  readonly spec: { readonly versions: readonly { schema: { openAPIV3Schema: Node } }[] };
}

/** The same of the first version of a CRD. */
export function schemaPaths(crd: OpenApi): ReadonlySet<string> {
  const paths = new Set<string>();
  const [version] = (crd as unknown as Crd).spec.versions;
  collectNode(version?.schema.openAPIV3Schema.properties?.spec, "spec", paths);
  return paths;
}

function collectNode(node: Node | undefined, path: string, paths: Set<string>): void {
  if (node === undefined) return;
  for (const [name, field] of Object.entries(node.properties ?? {})) {
    paths.add(`${path}.${name}`);
    collectNode(field, `${path}.${name}`, paths);
  }
  collectNode(node.items, `${path}[]`, paths);
  if (typeof node.additionalProperties === "object") {
    collectNode(node.additionalProperties, `${path}{}`, paths);
  }
}
