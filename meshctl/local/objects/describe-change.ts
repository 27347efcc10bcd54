/** Says in one line what changed in an object: which fields, from what to what. */

import { isDeepStrictEqual } from "node:util";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { formatField } from "#common/kubernetes/problem.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";

/** More changed fields than this are only counted. */
const FIELDS_SHOWN = 3;
const VALUE_MAX_LENGTH = 60;

/** `Namespace shop: metadata.labels["istio.io/dataplane-mode"]: (none) -> ambient`. */
export function describeChange(
  before: KubernetesObject | undefined,
  after: KubernetesObject | undefined,
): string {
  const object = after ?? before;
  if (object === undefined) return "";
  const { namespace, name } = object.metadata;
  const title = `${object.kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
  if (before === undefined) return `${title} added`;
  if (after === undefined) return `${title} removed`;
  const fields = differences(before, after, []);
  const shown = fields.slice(0, FIELDS_SHOWN).join(", ");
  const more = fields.length > FIELDS_SHOWN ? ` and ${fields.length - FIELDS_SHOWN} more` : "";
  return `${title} changed: ${shown}${more}`;
}

function differences(
  before: unknown,
  after: unknown,
  path: readonly (string | number)[],
): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (isJsonObject(before) && isJsonObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) => differences(before[key], after[key], [...path, key]));
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    return before.flatMap((value, i) => differences(value, after[i], [...path, i]));
  }
  return [`${formatField(path)}: ${show(before)} -> ${show(after)}`];
}

function show(value: unknown): string {
  if (value === undefined) return "(none)";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const line = text.replace(/\s+/g, " ");
  return line.length > VALUE_MAX_LENGTH ? `${line.slice(0, VALUE_MAX_LENGTH)}…` : line;
}
