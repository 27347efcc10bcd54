/** What policies of waypoints are attached to. */
import type { ObjectMeta, PolicyTargetRef } from "#common/kubernetes/objects.ts";
import { notEmpty } from "#common/kubernetes/validate/formats.ts";
import {
  list,
  type Report,
  type Schema,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

export const targetRef: Schema = strictObject(
  { group: text(), kind: text(notEmpty), name: text(notEmpty), namespace: text() },
  { required: ["kind", "name"] },
);

/** Source: istio/api's CRDs, which take 16. */
export const targetRefs: Schema = list(targetRef, { max: 16 });

/** Kinds with their API group. */
export type TargetGroups = Readonly<Record<string, string>>;

/** What every policy can be attached to. */
const TARGET_GROUPS: TargetGroups = {
  Gateway: "gateway.networking.k8s.io",
  GatewayClass: "gateway.networking.k8s.io",
  Service: "",
  ServiceEntry: "networking.istio.io",
};

interface Targeted {
  readonly metadata: ObjectMeta;
  readonly spec?: {
    readonly selector?: object;
    readonly targetRef?: PolicyTargetRef;
    readonly targetRefs?: readonly PolicyTargetRef[];
  };
}

/**
 * At most one way to choose, known kinds of the right group, and none of another namespace. `more`:
 * what policies of this kind can be attached to beside.
 */
export function checkTargets(policy: Targeted, report: Report, more: TargetGroups = {}): void {
  const { spec = {}, metadata } = policy;
  const given = (["selector", "targetRef", "targetRefs"] as const).filter((name) => spec[name]);
  const [first, second] = given;
  if (second !== undefined) report("error", ["spec", second], `cannot be combined with ${first}`);
  (spec.targetRefs ?? []).forEach((ref, i) => {
    checkTarget(metadata, ref, ["spec", "targetRefs", i], report, more);
  });
  if (spec.targetRef) checkTarget(metadata, spec.targetRef, ["spec", "targetRef"], report, more);
}

export function checkTarget(
  { namespace }: ObjectMeta,
  ref: PolicyTargetRef,
  path: readonly (string | number)[],
  report: Report,
  more: TargetGroups = {},
): void {
  const groups = { ...TARGET_GROUPS, ...more };
  const group = Object.hasOwn(groups, ref.kind) ? groups[ref.kind] : undefined;
  if (group === undefined) {
    const message = `${ref.kind} is none of ${Object.keys(groups).join(", ")}`;
    report("error", [...path, "kind"], message);
  } else if (!sameGroup(ref.group ?? "", group)) {
    const hint = `write group: ${JSON.stringify(group)}`;
    report("error", [...path, "group"], `is not the group of ${ref.kind}`, hint);
  }
  if (ref.namespace !== undefined && ref.namespace !== "" && ref.namespace !== namespace) {
    report("error", [...path, "namespace"], "a policy can only target its own namespace");
  }
}

/** Istio takes `core` for the core group too. */
function sameGroup(given: string, group: string): boolean {
  return given === group || (group === "" && given === "core");
}
