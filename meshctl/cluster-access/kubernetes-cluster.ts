/** A Kubernetes cluster: everything by way of its API server, with what a kubeconfig allows. */
import { pipeline } from "node:stream/promises";
import { applyObject, deleteObject, getObject, mergePatch } from "#common/kube-client/apply.ts";
import { execInPod, type TerminalSize } from "#common/kube-client/exec.ts";
import type { HttpKubeClient } from "#common/kube-client/http-kube-client.ts";
import { openBody } from "#common/kube-client/kube-streams.ts";
import { openPortForward } from "#common/kube-client/port-forward.ts";
import { objectPath } from "#common/kube-client/resources.ts";
import type { Gateway, KubernetesObject, Pod } from "#common/kubernetes/objects.ts";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { FIELD_MANAGER } from "#meshctl/install/apply-manifests.ts";
import { ROLLOUT_TIMEOUT_MS } from "#meshctl/install/limits.ts";
import type { Manifest } from "#meshctl/install/manifest.ts";
import { untilRolledOut } from "#meshctl/install/rollouts.ts";
import { isWaypoint } from "#meshctl/waypoint-gateway.ts";
import { type AdminRequest, exchangeAdmin } from "./admin-exchange.ts";
import { listEvents, listObjects } from "./kubernetes-objects.ts";
import type { LogRequest, MeshCluster, Ztunnel } from "./mesh-cluster.ts";

const SYSTEM_NAMESPACE = "istio-system";
const ZTUNNEL: Manifest = {
  apiVersion: "apps/v1",
  kind: "DaemonSet",
  metadata: { name: "ztunnel", namespace: SYSTEM_NAMESPACE },
};
/** What `kubectl rollout restart` writes, so that the two are one. */
const RESTARTED_AT = "kubectl.kubernetes.io/restartedAt";

export class KubernetesCluster implements MeshCluster {
  readonly defaultNamespace: string;
  readonly #client: HttpKubeClient;

  constructor(client: HttpKubeClient, defaultNamespace: string) {
    this.#client = client;
    this.defaultNamespace = defaultNamespace;
  }

  objects(kind: string, namespace?: string): Promise<readonly KubernetesObject[]> {
    return listObjects(this.#client, kind, namespace);
  }

  events(namespace?: string) {
    return listEvents(this.#client, namespace);
  }

  /** The API server refuses what is wrong. */
  async problems(): Promise<readonly string[]> {
    return [];
  }

  /** One per node: the one that is ready, where two take turns. */
  async ztunnels(): Promise<readonly Ztunnel[]> {
    const pods = (await this.objects("Pod", SYSTEM_NAMESPACE)).filter(isZtunnel);
    const ofNode = new Map<string, Pod>();
    for (const pod of pods) {
      const { nodeName } = pod.spec;
      if (nodeName === undefined || pod.metadata.deletionTimestamp !== undefined) continue;
      if (!ofNode.has(nodeName) || isReady(pod)) ofNode.set(nodeName, pod);
    }
    const found = [...ofNode].map(
      ([
        node,
        {
          metadata: { name },
        },
      ]) => ({ name, node }),
    );
    if (found.length > 0) return found.sort((a, b) => (a.node < b.node ? -1 : 1));
    throw new MeshError("NO_ZTUNNEL", `no ztunnel runs in namespace ${SYSTEM_NAMESPACE}`, {
      hint: "meshctl check says why; meshctl install",
    });
  }

  async askZtunnel({ name }: Ztunnel, asked: AdminRequest): Promise<string> {
    const target = { namespace: SYSTEM_NAMESPACE, pod: name, port: asked.port };
    const socket = await openPortForward(this.#client.connection, target);
    const hint = `meshctl logs ${name} -n ${SYSTEM_NAMESPACE}`;
    return exchangeAdmin(socket, asked, { name, hint });
  }

  async restartZtunnels(nodes: readonly string[], say: (line: string) => void): Promise<void> {
    if (nodes.length > 0) {
      throw new MeshError("NOT_BY_NODE", "a DaemonSet is replaced on all of its nodes", {
        hint: "leave the nodes away",
      });
    }
    const annotations = { [RESTARTED_AT]: new Date().toISOString() };
    const patch = { spec: { template: { metadata: { annotations } } } };
    await mergePatch(this.#client, { ...ZTUNNEL.metadata, kind: ZTUNNEL.kind }, patch);
    await untilRolledOut(this.#client, ZTUNNEL, ROLLOUT_TIMEOUT_MS, say);
  }

  async exec(
    { metadata, spec }: Pod,
    name: string | undefined,
    command: readonly string[],
  ): Promise<number> {
    const { stdin, stdout, stderr } = process;
    const tty = stdin.isTTY === true && stdout.isTTY === true;
    if (tty) stdin.setRawMode(true);
    try {
      return await execInPod(this.#client.connection, {
        namespace: metadata.namespace ?? "",
        pod: metadata.name,
        command,
        container: containerOf({ metadata, spec }, name),
        stdin,
        stdout,
        stderr,
        ...(tty && { terminal: { sizes: terminalSizes() } }),
      });
    } finally {
      if (tty) stdin.setRawMode(false);
    }
  }

  async printLog(pod: Pod, request: LogRequest): Promise<void> {
    const { follow, previous, tail } = request;
    const body = await openBody(this.#client.connection, {
      path: `${objectPath({ ...pod.metadata, kind: "Pod" })}/log`,
      query: {
        container: containerOf(pod, request.container),
        follow: String(follow),
        previous: String(previous),
        tailLines: tail === undefined ? undefined : String(tail),
      },
    });
    await pipeline(body, process.stdout, { end: false });
  }

  async deletePod({ metadata }: Pod, graceSeconds: number | undefined): Promise<void> {
    await deleteObject(this.#client, { ...metadata, kind: "Pod" }, { graceSeconds });
  }

  async putWaypoint(gateway: Gateway): Promise<void> {
    const { name, namespace } = gateway.metadata;
    const reference = { kind: "Gateway", name, namespace };
    const found = await getObject<KubernetesObject>(this.#client, reference);
    if (found !== undefined && !isWaypoint(found)) {
      throw new MeshError("NAME_TAKEN", `Gateway ${namespace}/${name} is no waypoint`, {
        hint: "choose another --name",
      });
    }
    await applyObject(this.#client, gateway, FIELD_MANAGER);
  }

  async deleteWaypoint(namespace: string, name: string): Promise<boolean> {
    const reference = { kind: "Gateway", name, namespace };
    const found = await getObject<KubernetesObject>(this.#client, reference);
    if (found === undefined || !isWaypoint(found)) return false;
    return deleteObject(this.#client, reference, { uid: found.metadata.uid });
  }

  async namespaceLabels(name: string) {
    const found = await getObject<KubernetesObject>(this.#client, { kind: "Namespace", name });
    return found === undefined ? undefined : (found.metadata.labels ?? {});
  }

  async labelNamespace(name: string, label: string, value: string): Promise<void> {
    const patch = { metadata: { labels: { [label]: value } } };
    await mergePatch(this.#client, { kind: "Namespace", name }, patch);
  }

  close(): void {
    this.#client.close();
  }
}

function isZtunnel(object: KubernetesObject): object is Pod {
  return object.kind === "Pod" && object.metadata.labels?.app === "ztunnel";
}

/** The named container, or the first, as the namespace cluster has it. */
function containerOf({ metadata, spec }: Pick<Pod, "metadata" | "spec">, name?: string): string {
  const names = spec.containers.map((container) => container.name);
  const found = name === undefined ? names[0] : names.find((one) => one === name);
  if (found !== undefined) return found;
  throw new MeshError("NO_SUCH_CONTAINER", `pod ${metadata.name} has no container ${name ?? ""}`, {
    hint: `its containers are ${names.join(", ")}`,
  });
}

/** The size now, and whenever it changes. */
async function* terminalSizes(): AsyncGenerator<TerminalSize> {
  const { stdout } = process;
  for (;;) {
    yield { columns: stdout.columns, rows: stdout.rows };
    await new Promise((resolve) => stdout.once("resize", resolve));
  }
}
