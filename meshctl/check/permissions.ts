/** Whether this user may do what an installation does. */

import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { resourceOf } from "#common/kube-client/resources.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import type { Manifest } from "#meshctl/install/manifest.ts";

/** What server-side apply, its plan and pruning ask for. */
const VERBS = ["get", "list", "create", "patch", "delete"] as const;

/** What is missing, a line for every kind: "create, patch deployments.apps in istio-system". */
export async function missingPermissions(
  client: KubeClient,
  manifests: readonly Manifest[],
): Promise<readonly string[]> {
  const places = new Map<string, Manifest>();
  for (const manifest of manifests) {
    const { apiVersion, kind, metadata } = manifest;
    places.set(`${apiVersion} ${kind} ${metadata.namespace ?? ""}`, manifest);
  }
  const missing: string[] = [];
  for (const { apiVersion, kind, metadata } of places.values()) {
    const group = apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "";
    const { plural } = resourceOf(kind);
    const { namespace = "" } = metadata;
    const allowed = await Promise.all(
      VERBS.map((verb) => mayDo(client, { group, resource: plural, namespace, verb })),
    );
    const refused = VERBS.filter((_, index) => allowed[index] === false);
    if (refused.length === 0) continue;
    const where = namespace === "" ? "" : ` in ${namespace}`;
    missing.push(`${refused.join(", ")} ${plural}${group === "" ? "" : `.${group}`}${where}`);
  }
  return missing;
}

interface Attributes {
  readonly group: string;
  readonly resource: string;
  readonly namespace: string;
  readonly verb: string;
}

/** Source: authorization.k8s.io/v1 SelfSubjectAccessReview. */
async function mayDo(client: KubeClient, attributes: Attributes): Promise<boolean> {
  const review = await client.request({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: { resourceAttributes: attributes },
    },
  });
  return isJsonObject(review) && isJsonObject(review.status) && review.status.allowed === true;
}
