/**
 * Whether an object may be stored: every rule that the sources of configuration enforce, so that
 * what they would refuse is refused where its author sees it. Pure.
 */

import { isDeepStrictEqual } from "node:util";
import { type FieldPath, formatIssue, type Issue } from "#common/kubernetes/problem.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { PROBLEM_CHARACTERS, PROBLEMS_TOLD, WARNING_CHARACTERS, WARNINGS_TOLD } from "./limits.ts";
import type { MeshPreview } from "./mesh-preview.ts";
import { isOurs } from "./ours.ts";
import type { AdmissionRequest, Verdict } from "./review.ts";

const ALLOWED: Verdict = { allowed: true, warnings: [] };

/** Kinds of Kubernetes itself: nothing about them is ours to refuse. */
const HINTED_KINDS: ReadonlySet<string> = new Set(["Namespace", "Service"]);

/** What stands for a name that is yet to be made from `generateName`. */
const GENERATED = "x";

export function judge(request: AdmissionRequest, preview: MeshPreview): Verdict {
  const { object, operation, subResource } = request;
  if ((operation !== "CREATE" && operation !== "UPDATE") || subResource !== "") return ALLOWED;
  if (!isJsonObject(object)) return refuse(["the review has no object"]);
  if (isOnItsWayOut(object) || saysTheSame(request)) return ALLOWED;
  const named = withName(object, request);
  if (HINTED_KINDS.has(request.kind.kind) && request.kind.group === "") return hint(named, preview);
  if (!isOurs(named, preview)) return ALLOWED;
  const { object: valid, issues, unknownKind } = validateObject(named);
  if (unknownKind !== undefined) return ALLOWED;
  const told = issues.filter(({ severity }) => severity === "warning").map(formatIssue);
  if (valid === undefined) return { ...refuse(errorsOf(issues)), warnings: warn(told) };
  return { allowed: true, warnings: warn([...told, ...preview.remarks(valid)]) };
}

function errorsOf(issues: readonly Issue[]): string[] {
  return issues.filter(({ severity }) => severity === "error").map(formatIssue);
}

function refuse(problems: readonly string[]): Verdict {
  const told = problems.slice(0, PROBLEMS_TOLD).map((text) => cut(text, PROBLEM_CHARACTERS));
  const untold = problems.length - told.length;
  const more = untold > 0 ? [`and ${untold} more`] : [];
  return { allowed: false, message: [...told, ...more].join("; "), warnings: [] };
}

function warn(texts: readonly string[]): readonly string[] {
  return texts.slice(0, WARNINGS_TOLD).map((text) => cut(text, WARNING_CHARACTERS));
}

/** An object that is being deleted changes only so that it can go. */
function isOnItsWayOut({ metadata }: JsonObject): boolean {
  return isJsonObject(metadata) && metadata.deletionTimestamp !== undefined;
}

/** Whoever changes an annotation or a finalizer is not held up by what was wrong before. */
function saysTheSame({ operation, object, oldObject }: AdmissionRequest): boolean {
  if (operation !== "UPDATE" || !isJsonObject(object) || !isJsonObject(oldObject)) return false;
  if (object.apiVersion !== oldObject.apiVersion) return false;
  return (
    isDeepStrictEqual(object.spec, oldObject.spec) &&
    isDeepStrictEqual(labelsOf(object), labelsOf(oldObject))
  );
}

function labelsOf({ metadata }: JsonObject): unknown {
  return (isJsonObject(metadata) ? metadata.labels : undefined) ?? {};
}

/** The object without its status, and with the name and namespace that it will have. */
function withName(object: JsonObject, { name, namespace }: AdmissionRequest): JsonObject {
  const { status: _, ...written } = object;
  const metadata = isJsonObject(object.metadata) ? object.metadata : {};
  const prefix = typeof metadata.generateName === "string" ? metadata.generateName : "";
  const known = metadata.name ?? (name === "" ? `${prefix}${GENERATED}` : name);
  const place = namespace === "" ? {} : { namespace };
  const { generateName: _prefix, managedFields: _fields, ...kept } = metadata;
  return { ...written, metadata: { ...kept, ...place, name: known } };
}

/** Labels that somebody believed the mesh would read. */
function hint(object: JsonObject, preview: MeshPreview): Verdict {
  const { object: valid, issues } = validateObject(object);
  const about = issues.filter(({ path }) => isLabel(path));
  const remarks = valid === undefined ? [] : preview.labelRemarks(valid.metadata);
  return { allowed: true, warnings: warn([...about.map(formatIssue), ...remarks]) };
}

function isLabel([first, second]: FieldPath): boolean {
  return first === "metadata" && second === "labels";
}

function cut(text: string, most: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal would act on goes
  const line = text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, " ");
  return line.length <= most ? line : `${line.slice(0, most - 3)}...`;
}
