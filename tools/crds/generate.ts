/**
 * From a kind's validator and its notes to a CustomResourceDefinition. The validator says which
 * fields there are, so that nothing that it reads is pruned; a field without a note, or a note
 * without a field, is an error.
 */
import type { KindDefinition } from "#common/kubernetes/validate/metadata.ts";
import type { ObjectSchema, Schema } from "#common/kubernetes/validate/schema.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { checkFacets } from "./facets.ts";
import type { Column, CrdNotes, Note, Notes, OpenApi, Rule } from "./note.ts";
import { statusSchema } from "./status.ts";

/** Lists without a bound of their own; larger ones are refused by the validators. */
const MAX_ITEMS = 10_000;

/** Marks what this project installed, so that an upgrade never touches somebody else's CRD. */
export const CRD_LABELS: Readonly<Record<string, string>> = {
  "app.kubernetes.io/part-of": "ambient-mesh",
  "app.kubernetes.io/component": "crds",
};

export function generateCrd(definition: KindDefinition, notes: CrdNotes): OpenApi {
  const { kind, group } = definition;
  const { plural, shortNames, categories } = notes;
  const singular = kind.toLowerCase();
  const names = { kind, listKind: `${kind}List`, plural, singular, shortNames, categories };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}`, labels: CRD_LABELS },
    spec: {
      group,
      names: categories.length === 0 ? without(names, "categories") : names,
      scope: definition.namespaced ? "Namespaced" : "Cluster",
      versions: definition.versions.map((name) => version(name, definition, notes)),
    },
  };
}

function without(value: OpenApi, field: string): OpenApi {
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== field));
}

function version(name: string, definition: KindDefinition, notes: CrdNotes): OpenApi {
  return {
    name,
    served: true,
    storage: name === notes.storage,
    subresources: { status: {} },
    additionalPrinterColumns: notes.columns.map(column),
    schema: { openAPIV3Schema: root(definition, notes) },
  };
}

function column({ name, about, path, type = "string", wide }: Column): OpenApi {
  const priority = wide === true ? { priority: 1 } : {};
  return { name, type, description: about, jsonPath: path, ...priority };
}

function root({ kind, schema }: KindDefinition, { about, spec }: CrdNotes): OpenApi {
  if (schema.type !== "object" || schema.fields.spec === undefined) throw misfit(kind, "no spec");
  const required = schema.required.filter((field) => field !== "metadata");
  return {
    type: "object",
    description: about,
    ...(required.length > 0 && { required }),
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      spec: noted(schema.fields.spec, spec, `${kind} spec`),
      status: statusSchema(kind),
    },
  };
}

/** The schema of one field with its note. */
function noted(schema: Schema, given: string | Note, path: string): OpenApi {
  const { about, ...note }: Note = typeof given === "string" ? { about: given } : given;
  const { facets = {}, rules = [] } = note;
  return { description: about, ...shape(schema, note, path), ...facets, ...validations(rules) };
}

function validations(rules: readonly Rule[]): OpenApi {
  if (rules.length === 0) return {};
  return { "x-kubernetes-validations": rules.map(({ rule, message }) => ({ rule, message })) };
}

function shape(schema: Schema, note: Omit<Note, "about">, path: string): OpenApi {
  const nullable = "nullable" in schema ? { nullable: true } : {};
  switch (schema.type) {
    case "anything":
    case "unserved":
      if (note.shape === undefined) throw misfit(path, "its note has no shape");
      return { ...note.shape, ...nullable };
    case "boolean":
      return { type: "boolean", ...nullable };
    case "integer": {
      const { min: minimum, max: maximum } = schema;
      return { type: "integer", format: "int32", minimum, maximum, ...nullable };
    }
    case "text": {
      const { oneOf, check } = schema;
      return { type: "string", ...(oneOf ? { enum: oneOf } : checkFacets(check)) };
    }
    case "list": {
      const { min, max } = schema;
      const minItems = min > 0 ? { minItems: min } : {};
      const maxItems = Math.min(max, MAX_ITEMS);
      return { type: "array", ...minItems, maxItems, items: item(schema.item, note, `${path}[]`) };
    }
    case "map": {
      const least = schema.min > 0 ? { minProperties: schema.min } : {};
      const value = item(schema.value, note, `${path}{}`);
      return { type: "object", ...least, additionalProperties: value };
    }
    case "object":
      return objectShape(schema, note.fields, path);
    case "port-or-name":
      return { "x-kubernetes-int-or-string": true };
  }
}

function item(schema: Schema, note: Omit<Note, "about">, path: string): OpenApi {
  const { fields, shape: open, itemFacets = {}, itemRules = [] } = note;
  const inner = { ...(fields && { fields }), ...(open && { shape: open }) };
  return { ...shape(schema, inner, path), ...itemFacets, ...validations(itemRules) };
}

function objectShape(schema: ObjectSchema, notes: Notes = {}, path: string): OpenApi {
  const names = Object.keys(schema.fields);
  const aliases = Object.keys(schema.aliases);
  for (const name of Object.keys(notes)) {
    if (!names.includes(name)) throw misfit(`${path}.${name}`, "there is a note of no field");
  }
  const properties = names.map((name) => [
    name,
    field(schema.fields[name], notes[name], path, name),
  ]);
  const others = aliases.map((alias) => {
    const meant = schema.aliases[alias] ?? "";
    const text = `The same as ${meant}: write that.`;
    const described = notes[meant];
    const own = typeof described === "object" ? { ...described, about: text } : text;
    return [alias, field(schema.fields[meant], own, path, alias)];
  });
  const { required } = schema;
  return {
    type: "object",
    ...(required.length > 0 && { required }),
    properties: Object.fromEntries([...properties, ...others]),
  };
}

function field(
  schema: Schema | undefined,
  given: string | Note | undefined,
  path: string,
  name: string,
): OpenApi {
  const place = `${path}.${name}`;
  if (schema === undefined || given === undefined) throw misfit(place, "has no note");
  return noted(schema, given, place);
}

function misfit(path: string, message: string): MeshError {
  const hint = "correct tools/crds/notes";
  return new MeshError("CRD_NOTES", `${path}: ${message}`, { hint });
}
