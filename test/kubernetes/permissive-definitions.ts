/**
 * CustomResourceDefinitions of every kind that the mesh reads, without any schema: what gets past
 * an API server that checks nothing has to be met as well.
 */
import { collectionPath, resourceOf } from "#common/kube-client/resources.ts";
import {
  WATCHED_KINDS,
  type WatchedKind,
} from "#istiod-lite/config/kubernetes/watch/watched-kinds.ts";

const CLUSTER_SCOPED: readonly WatchedKind[] = ["GatewayClass"];

export interface Definition {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly metadata: { readonly name: string };
}

export function permissiveDefinitions(): readonly Definition[] {
  return WATCHED_KINDS.flatMap(({ kind, crd }) =>
    crd === undefined ? [] : [definition(kind, crd)],
  );
}

/** Where definitions are created. */
export const DEFINITIONS = collectionPath("CustomResourceDefinition");

function definition(kind: WatchedKind, name: string): Definition {
  const { plural } = resourceOf(kind);
  const { apiVersions = [] } = WATCHED_KINDS.find((each) => each.kind === kind) ?? {};
  const openAPIV3Schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const spec = {
    group: name.slice(plural.length + 1),
    names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
    scope: CLUSTER_SCOPED.includes(kind) ? "Cluster" : "Namespaced",
    versions: apiVersions.map((apiVersion, index) => ({
      name: apiVersion.slice(apiVersion.indexOf("/") + 1),
      served: true,
      storage: index === 0,
      schema: { openAPIV3Schema },
      subresources: { status: {} },
    })),
  };
  const apiVersion = "apiextensions.k8s.io/v1";
  const metadata = {
    name,
    annotations: { "api-approved.kubernetes.io": "unapproved, for tests" },
  };
  const definition = { apiVersion, kind: "CustomResourceDefinition", metadata, spec } as const;
  return definition;
}
