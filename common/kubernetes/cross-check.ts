/** Checks that need more than one object: duplicates across files, namespaces that do not exist. */

import type { LoadedObject } from "#common/kubernetes/load-result.ts";
import type { UnknownKind } from "#common/kubernetes/load-text.ts";
import { objectKey } from "#common/kubernetes/objects.ts";
import type { Problem } from "#common/kubernetes/problem.ts";

/** Namespaces that every cluster of the mesh has. */
const BUILT_IN_NAMESPACES = ["default", "kube-system", "istio-system"];

export interface CrossChecked {
  /** One per key: the first, in the order given. */
  readonly objects: readonly LoadedObject[];
  readonly problems: readonly Problem[];
}

export function crossCheck(
  loaded: readonly LoadedObject[],
  unknownKinds: readonly UnknownKind[],
): CrossChecked {
  const byKey = new Map<string, LoadedObject>();
  const problems: Problem[] = [];
  for (const entry of loaded) {
    const key = objectKey(entry.object);
    const first = byKey.get(key);
    if (first === undefined) byKey.set(key, entry);
    else problems.push(duplicate(entry, first));
  }
  const objects = [...byKey.values()];
  problems.push(...missingNamespaces(objects), ...oncePerKind(unknownKinds));
  return { objects, problems };
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

function missingNamespaces(objects: readonly LoadedObject[]): Problem[] {
  const known = new Set(BUILT_IN_NAMESPACES);
  for (const { object } of objects)
    if (object.kind === "Namespace") known.add(object.metadata.name);
  const problems: Problem[] = [];
  for (const entry of objects) {
    const { namespace } = entry.object.metadata;
    if (namespace === undefined || known.has(namespace)) continue;
    known.add(namespace);
    const message = `there is no Namespace ${namespace}`;
    const hint = "a cluster refuses objects of a namespace that does not exist: add it";
    problems.push(at(entry, "warning", "metadata.namespace", message, hint));
  }
  return problems;
}

function oncePerKind(unknownKinds: readonly UnknownKind[]): Problem[] {
  const seen = new Set<string>();
  return unknownKinds.flatMap(({ name, problem }) => {
    if (seen.has(name)) return [];
    seen.add(name);
    return [problem];
  });
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
