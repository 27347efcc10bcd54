/** A small installation of tests: of every phase something, and no program that has to run. */
import type { Manifest } from "#meshctl/install/manifest.ts";

const labels = { "app.kubernetes.io/part-of": "ambient-mesh" };
const named = (name: string, namespace?: string) => ({
  name,
  labels,
  ...(namespace !== undefined && { namespace }),
});

export function crd(plural: string, own = true): Manifest {
  const group = "test.ambientmesh.dev";
  const kind = `${plural[0]?.toUpperCase()}${plural.slice(1, -1)}`;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}`, ...(own && { labels }) },
    spec: {
      group,
      scope: "Namespaced",
      names: { plural, kind, singular: plural.slice(0, -1) },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object" } },
        },
      ],
    },
  };
}

function program(kind: "Deployment" | "DaemonSet", name: string, image: string): Manifest {
  const app = { app: name };
  return {
    apiVersion: "apps/v1",
    kind,
    metadata: named(name, "mesh-test"),
    spec: {
      ...(kind === "Deployment" && { replicas: 0 }),
      selector: { matchLabels: app },
      template: {
        metadata: { labels: app },
        spec: { containers: [{ name: "main", image, env: [{ name: "A", value: "1" }] }] },
      },
    },
  };
}

/** In an order that no cluster would take. */
export function testInstallation(image = "ambient-mesh:0.1.0"): readonly Manifest[] {
  return [
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingWebhookConfiguration",
      metadata: named("mesh-test"),
      webhooks: [],
    },
    program("DaemonSet", "ztunnel", image),
    program("Deployment", "istiod", image),
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: named("settings", "mesh-test"),
      data: { one: "1" },
    },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: named("istiod", "mesh-test") },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: named("mesh-test"),
      rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["list"] }],
    },
    crd("widgets"),
    { apiVersion: "v1", kind: "Namespace", metadata: named("mesh-test") },
  ];
}
