/** `meshctl check`: whether what is installed does what it should. */

import { X509Certificate } from "node:crypto";
import { getObject } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import type { Gateway, KubernetesObject, Namespace, Pod } from "#common/kubernetes/objects.ts";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import { ADMIN_PORT } from "#common/model/ports.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { listObjects } from "#meshctl/cluster-access/kubernetes-objects.ts";
import type { MeshCluster } from "#meshctl/cluster-access/mesh-cluster.ts";
import { isControlPlane, versionOf } from "#meshctl/install/installation.ts";
import { isProgram, type Manifest } from "#meshctl/install/manifest.ts";
import { findInstalled } from "#meshctl/install/ownership.ts";
import { parseDump } from "#meshctl/ztunnel-config/dump.ts";
import { enrolledPods, isCaptured, podName } from "./enrolment.ts";
import { rollouts, rootCertificates, waypoints, webhook, workloadCertificates } from "./health.ts";
import { blockedPods, type NetworkPolicy } from "./network-policies.ts";
import { failed, type Outcome, ok, unlessAny } from "./outcome.ts";
import { bindChecks, type Check, type CheckOf } from "./run-checks.ts";

const SYSTEM_NAMESPACE = "istio-system";
const ROOT_CONFIG_MAP = "istio-ca-root-cert";

interface Deps {
  readonly client: KubeClient;
  readonly cluster: MeshCluster;
  readonly facts: Facts;
}

const CHECKS: readonly CheckOf<Deps>[] = [
  {
    id: "check-installed",
    description: "the mesh is installed",
    fatal: true,
    run: async ({ facts }) => {
      const installed = await facts.installed();
      if (!installed.some(isProgram)) return failed("nothing of it is there: meshctl install");
      return ok(versionOf(installed));
    },
  },
  {
    id: "check-rollouts",
    description: "istiod and every ztunnel run",
    run: async ({ facts }) => {
      const pods = (await facts.pods()).filter(
        ({ metadata }) => metadata.namespace === SYSTEM_NAMESPACE,
      );
      return rollouts((await facts.installed()).filter(isProgram), asJson(pods));
    },
  },
  {
    id: "check-webhook",
    description: "istiod checks what is applied",
    run: async ({ facts }) => {
      const installed = await facts.installed();
      if (!installed.some(isControlPlane)) return ok("the control plane is another's");
      const isWebhook = ({ kind }: Manifest) => kind === "ValidatingWebhookConfiguration";
      const ready = (await facts.pods()).filter(
        (pod) => pod.metadata.labels?.app === "istiod" && isReady(pod),
      );
      return webhook(installed.find(isWebhook), ready.length);
    },
  },
  {
    id: "check-root-certificate",
    description: "the root certificate is valid",
    run: async ({ client }) => rootCertificates(await rootEnds(client), Date.now()),
  },
  {
    id: "check-certificates",
    description: "every ztunnel answers, and has certificates",
    run: ({ cluster }) => ztunnelCertificates(cluster),
  },
  {
    id: "check-captured-pods",
    description: "enrolled pods are in the mesh",
    run: async ({ facts }) => {
      const enrolled = await facts.enrolled();
      const open = enrolled.filter((pod) => !isCaptured(pod)).map(podName);
      return unlessAny("failed", open, `${enrolled.length} pods`);
    },
  },
  {
    id: "check-network-policies",
    description: "NetworkPolicies let HBONE pass",
    run: async ({ client, facts }) => {
      const policies = await listObjects(client, "NetworkPolicy");
      const all = policies as readonly unknown[] as readonly NetworkPolicy[];
      return unlessAny("failed", blockedPods(await facts.enrolled(), all));
    },
  },
  {
    id: "check-waypoints",
    description: "waypoints are programmed",
    run: ({ client }) => checkWaypoints(client),
  },
  {
    id: "check-policies",
    description: "policies are accepted",
    run: ({ client }) => checkPolicies(client),
  },
];

export function installedChecks(client: KubeClient, cluster: MeshCluster): readonly Check[] {
  return bindChecks(CHECKS, { client, cluster, facts: new Facts(client) });
}

/** What several checks look at, asked for once. */
class Facts {
  readonly #client: KubeClient;
  readonly #known = new Map<string, Promise<unknown>>();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  installed(): Promise<readonly Manifest[]> {
    return this.#once("installed", () => findInstalled(this.#client));
  }

  pods(): Promise<readonly Pod[]> {
    return this.#once("pods", () => this.#list<Pod>("Pod"));
  }

  async enrolled(): Promise<readonly Pod[]> {
    const namespaces = await this.#once("namespaces", () => this.#list<Namespace>("Namespace"));
    return enrolledPods(await this.pods(), namespaces);
  }

  async #list<Kind extends KubernetesObject>(kind: string): Promise<readonly Kind[]> {
    return (await listObjects(this.#client, kind)) as readonly Kind[];
  }

  #once<Value>(name: string, find: () => Promise<Value>): Promise<Value> {
    const known = this.#known.get(name) ?? find();
    this.#known.set(name, known);
    return known as Promise<Value>;
  }
}

async function rootEnds(client: KubeClient): Promise<readonly number[]> {
  const reference = { kind: "ConfigMap", name: ROOT_CONFIG_MAP, namespace: SYSTEM_NAMESPACE };
  const found = await getObject(client, reference);
  const data = isJsonObject(found) && isJsonObject(found.data) ? found.data : {};
  const pem = String(data["root-cert.pem"] ?? "");
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => Date.parse(new X509Certificate(block).validTo));
}

async function ztunnelCertificates(cluster: MeshCluster): Promise<Outcome> {
  const ztunnels = await cluster.ztunnels();
  const lines: string[] = [];
  for (const ztunnel of ztunnels) {
    const asked = { method: "GET", path: "/config_dump", port: ADMIN_PORT } as const;
    try {
      const dump = parseDump(await cluster.askZtunnel(ztunnel, asked), ztunnel.name);
      const bad = workloadCertificates(dump.certificates, Date.now());
      lines.push(...bad.map((line) => `${ztunnel.node}: ${line}`));
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      lines.push(`${ztunnel.node}: ${describeError(error)}`);
    }
  }
  return unlessAny("failed", lines, `${ztunnels.length} ztunnels`);
}

/** None at all where the cluster has no Gateway API. */
async function checkWaypoints(client: KubeClient): Promise<Outcome> {
  const gateways = await listObjects(client, "Gateway").catch((error: unknown) => {
    if (error instanceof MeshError && error.code === "NO_SUCH_KIND") return [];
    throw error;
  });
  const users = [
    ...(await listObjects(client, "Namespace")),
    ...(await listObjects(client, "Service")),
  ];
  return waypoints(gateways as readonly Gateway[], users);
}

interface WithConditions {
  readonly status?: { readonly conditions?: readonly { status: string; message?: string }[] };
}

async function checkPolicies(client: KubeClient): Promise<Outcome> {
  const policies = await listObjects(client, "AuthorizationPolicy");
  const refused = policies.flatMap((policy) => {
    const { conditions = [] } = (policy as WithConditions).status ?? {};
    const { name, namespace } = policy.metadata;
    return conditions
      .filter(({ status }) => status === "False")
      .map(({ message = "" }) => `${namespace}/${name}: ${message}`);
  });
  return unlessAny("warning", refused, `${policies.length} policies`);
}

function asJson(objects: readonly KubernetesObject[]): readonly JsonObject[] {
  return objects as readonly unknown[] as readonly JsonObject[];
}
