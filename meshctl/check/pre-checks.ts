/** `meshctl check --pre`: whether a cluster can take an installation. */

import { getObject } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { listObjects } from "#meshctl/cluster-access/kubernetes-objects.ts";
import type { Manifest } from "#meshctl/install/manifest.ts";
import { isOurs } from "#meshctl/install/ownership.ts";
import { isServed } from "#meshctl/install/served-kinds.ts";
import { cniFacts, nodeFacts, otherMeshes, podSecurity, serverVersion } from "./cluster-facts.ts";
import { ok, unlessAny, warning } from "./outcome.ts";
import { missingPermissions } from "./permissions.ts";
import { bindChecks, type Check, type CheckOf } from "./run-checks.ts";

const GATEWAY_API = "/apis/gateway.networking.k8s.io/v1";

interface Deps {
  readonly client: KubeClient;
  readonly manifests: readonly Manifest[];
}

const CHECKS: readonly CheckOf<Deps>[] = [
  {
    id: "check-server-version",
    description: "the API server answers, and is new enough",
    fatal: true,
    run: async ({ client }) => {
      const version = await client.request({ method: "GET", path: "/version" });
      return serverVersion(isJsonObject(version) ? version : {});
    },
  },
  {
    id: "check-permissions",
    description: "you may install",
    run: async ({ client, manifests }) => {
      const missing = await missingPermissions(client, manifests);
      return unlessAny("failed", missing);
    },
  },
  {
    id: "check-nodes",
    description: "nodes can capture",
    run: async ({ client }) => nodeFacts(await list(client, "Node")),
  },
  {
    id: "check-cni",
    description: "the CNI lets a plugin be chained",
    run: async ({ client }) =>
      cniFacts(await get(client, "ConfigMap", "cilium-config", "kube-system")),
  },
  {
    id: "check-pod-security",
    description: "Pod Security lets a ztunnel start",
    run: async ({ client }) => podSecurity(await get(client, "Namespace", "istio-system")),
  },
  {
    id: "check-gateway-api",
    description: "the Gateway API is there",
    run: async ({ client }) =>
      (await isServed(client, GATEWAY_API))
        ? ok()
        : warning("it is not: waypoints cannot be had; all else works"),
  },
  {
    id: "check-crds",
    description: "kinds that are there are served in the versions that are read",
    run: async ({ client, manifests }) =>
      unlessAny("failed", await unservedKinds(client, manifests)),
  },
  {
    id: "check-other-meshes",
    description: "no other mesh is there",
    run: async ({ client }) =>
      otherMeshes({
        programs: [...(await list(client, "Deployment")), ...(await list(client, "DaemonSet"))],
        injectors: await list(client, "MutatingWebhookConfiguration"),
        isOurs,
      }),
  },
];

export function preChecks(client: KubeClient, manifests: readonly Manifest[]): readonly Check[] {
  return bindChecks(CHECKS, { client, manifests });
}

/** CRDs that somebody else brought, without a version that ours would serve. */
async function unservedKinds(client: KubeClient, manifests: readonly Manifest[]) {
  const lines: string[] = [];
  for (const { kind, metadata, spec } of manifests) {
    if (kind !== "CustomResourceDefinition") continue;
    const found = await get(client, kind, metadata.name);
    if (found === undefined || isOurs(found)) continue;
    const served = servedVersions(found.spec);
    const lacking = servedVersions(spec).filter((version) => !served.includes(version));
    if (lacking.length > 0) {
      lines.push(`${metadata.name} serves ${served.join(", ")}, and not ${lacking.join(", ")}`);
    }
  }
  return lines;
}

function servedVersions(spec: unknown): readonly string[] {
  const versions = isJsonObject(spec) && Array.isArray(spec.versions) ? spec.versions : [];
  return versions
    .filter(isJsonObject)
    .filter(({ served }) => served === true)
    .map(({ name }) => String(name));
}

async function get(client: KubeClient, kind: string, name: string, namespace?: string) {
  return await getObject<JsonObject>(client, { kind, name, namespace });
}

async function list(client: KubeClient, kind: string): Promise<readonly JsonObject[]> {
  return (await listObjects(client, kind)) as readonly unknown[] as readonly JsonObject[];
}
