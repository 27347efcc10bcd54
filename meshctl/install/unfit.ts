/** What stands in the way of an installation as a whole: told alone, for all else follows. */

import { MeshError } from "#common/runtime/errors.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { isProgram, type Manifest, nameOf } from "./manifest.ts";
import { isOurs } from "./ownership.ts";

/** `before` is what the cluster has of the object. Throws a MeshError where it cannot be ours. */
export function refuseUnfit(manifest: Manifest, before: JsonObject): void {
  const { kind, metadata } = manifest;
  if (kind === "Namespace" && isJsonObject(before.metadata) && before.metadata.deletionTimestamp) {
    throw new MeshError("TERMINATING", `namespace ${metadata.name} is being deleted`, {
      hint:
        `wait until kubectl get namespace ${metadata.name} finds nothing; ` +
        "while it does, -o yaml says under status.conditions what keeps it",
    });
  }
  if (!isProgram(manifest) || isOurs(before)) return;
  const managers = managersOf(before).join(", ") || "somebody";
  throw new MeshError("OTHER_MESH", `${nameOf(manifest)} is there and not ours: ${managers}`, {
    hint:
      "remove that mesh first, or install a half of ours beside a half of it: " +
      "--set profile=stock-control-plane or stock-data-plane (docs/install.md)",
  });
}

/** By whom it was made, for people. */
function managersOf({ metadata }: JsonObject): readonly string[] {
  const fields = isJsonObject(metadata) ? metadata.managedFields : undefined;
  const list = Array.isArray(fields) ? fields.filter(isJsonObject) : [];
  // What controllers write into statuses says nothing of the author.
  const authors = list.filter(({ subresource }) => subresource === undefined);
  return [...new Set(authors.map(({ manager }) => String(manager)))];
}
