/** What a policy of waypoints is attached to, as keys: `<Kind>/<namespace>/<name>`. */
import type { ObjectMeta, PolicyTargetRef } from "#common/kubernetes/objects.ts";

export interface Targeted {
  readonly metadata: ObjectMeta;
  readonly spec?: {
    readonly targetRef?: PolicyTargetRef;
    readonly targetRefs?: readonly PolicyTargetRef[];
  };
}

/** Of a GatewayClass the namespace is empty: classes are the cluster's. */
export function targetKeys({ metadata, spec = {} }: Targeted): readonly string[] {
  const { targetRef, targetRefs = [] } = spec;
  const refs = targetRef === undefined ? targetRefs : [targetRef, ...targetRefs];
  const keys = refs.map(({ kind, name }) =>
    kind === "GatewayClass" ? `${kind}//${name}` : `${kind}/${metadata.namespace ?? ""}/${name}`,
  );
  return [...new Set(keys)];
}

/** The namespace in a key; "" of a class. */
export function targetNamespace(key: string): string {
  return key.split("/")[1] ?? "";
}

export function policyName({ metadata }: { readonly metadata: ObjectMeta }): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
