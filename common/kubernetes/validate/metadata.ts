/**
 * The parts that objects of every kind share: metadata, conditions, selectors; and how a kind is
 * declared.
 */
import type { KubernetesKind, ObjectMeta } from "#common/kubernetes/objects.ts";
import { suggest } from "#common/kubernetes/suggest.ts";
import {
  annotationKey,
  dnsLabel,
  labelKey,
  labelValue,
  notEmpty,
  timestamp,
} from "#common/kubernetes/validate/formats.ts";
import {
  boolean,
  integer,
  list,
  map,
  object,
  oneOf,
  type Report,
  type Schema,
  strictObject,
  type TextCheck,
  text,
} from "#common/kubernetes/validate/schema.ts";

/** One kind that the mesh reads. */
export interface KindDefinition {
  readonly kind: KubernetesKind;
  /** Empty for the core group. */
  readonly group: string;
  readonly versions: readonly string[];
  /** Groups of ours that have another kind of this name. */
  readonly otherGroups: readonly string[];
  readonly namespaced: boolean;
  readonly schema: Schema;
}

interface KindOptions {
  readonly kind: KubernetesKind;
  readonly group?: string;
  readonly versions?: readonly string[];
  readonly otherGroups?: readonly string[];
  readonly namespaced?: boolean;
  readonly name: TextCheck;
  /** Beside apiVersion, kind and metadata. */
  readonly fields?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly defaults?: Readonly<Record<string, unknown>>;
  /** Refuses unknown fields beside `spec` and `status`. */
  readonly strict?: boolean;
}

export function defineKind<Value>(
  options: KindOptions & { readonly check?: (value: Value, report: Report) => void },
): KindDefinition {
  const { kind, group = "", versions = ["v1"], namespaced = true, check, defaults } = options;
  const { otherGroups = [] } = options;
  const shape = options.strict === true ? strictObject<Value> : object<Value>;
  const schema = shape(
    {
      apiVersion: text(),
      kind: text(),
      metadata: metadata(options.name, namespaced),
      ...options.fields,
    },
    {
      required: ["metadata", ...(options.required ?? [])],
      ...(check === undefined ? {} : { check }),
      ...(defaults === undefined ? {} : { defaults }),
    },
  );
  return { kind, group, versions, otherGroups, namespaced, schema };
}

export const labels: Schema = map(text(labelValue), labelKey);
export const annotations: Schema = map(text(), annotationKey);

export const conditions: Schema = list(
  object(
    {
      type: text(notEmpty),
      status: oneOf("True", "False", "Unknown"),
      reason: text(),
      message: text(),
      observedGeneration: integer(0, Number.MAX_SAFE_INTEGER),
      lastTransitionTime: text(timestamp),
    },
    { required: ["type", "status"] },
  ),
);

const ownerReferences: Schema = list(
  object(
    {
      apiVersion: text(notEmpty),
      kind: text(notEmpty),
      name: text(notEmpty),
      uid: text(),
      controller: boolean,
      blockOwnerDeletion: boolean,
    },
    { required: ["apiVersion", "kind", "name"] },
  ),
);

function metadata(name: TextCheck, namespaced: boolean): Schema {
  return object<ObjectMeta>(
    {
      name: text(name),
      namespace: text(dnsLabel),
      uid: text(),
      labels,
      annotations,
      creationTimestamp: text(timestamp),
      deletionTimestamp: text(timestamp),
      generation: integer(0, Number.MAX_SAFE_INTEGER),
      resourceVersion: text(),
      ownerReferences,
    },
    {
      required: ["name"],
      unread: ["generateName"],
      ...(namespaced ? { defaults: { namespace: "default" } } : {}),
      check: (value, report) => {
        if (!namespaced && value.namespace !== undefined) {
          const hint = "remove the field";
          report("error", ["namespace"], "objects of this kind are in no namespace", hint);
        }
        checkMeshLabels(value.labels ?? {}, ["labels"], report);
      },
    },
  );
}

/**
 * Labels of the mesh that a pod, a service or a namespace can carry. Source: istio/api labels.yaml.
 */
const MESH_LABELS = [
  "istio.io/dataplane-mode",
  "istio.io/use-waypoint",
  "istio.io/use-waypoint-namespace",
  "istio.io/use-waypoint-canary",
  "istio.io/use-waypoint-canary-namespace",
  "istio.io/ingress-use-waypoint",
  "istio.io/waypoint-for",
  "istio.io/rev",
  "istio.io/tag",
  "istio.io/global",
];

/** A misspelt mesh label leaves a workload outside the mesh without a word: so here is the word. */
export function checkMeshLabels(
  given: Readonly<Record<string, string>>,
  path: readonly string[],
  report: Report,
): void {
  for (const key of Object.keys(given)) {
    const near = suggest(key, MESH_LABELS);
    if (near === undefined) continue;
    report("warning", [...path, key], "is a label that nothing reads", `did you mean ${near}?`);
  }
  const mode = given["istio.io/dataplane-mode"];
  if (mode === undefined || mode === "ambient" || mode === "none") return;
  report(
    "warning",
    [...path, "istio.io/dataplane-mode"],
    `${JSON.stringify(mode)} neither enrols in the mesh nor opts out`,
    "write ambient or none",
  );
}
