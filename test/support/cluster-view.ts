/** What a test sees of a cluster: its objects, and waiting until they are as they should be. */
import { setTimeout as sleep } from "node:timers/promises";
import type { KubernetesKind, KubernetesObject, Pod } from "#common/kubernetes/objects.ts";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import type { ControlClient } from "#meshctl/local/control/client.ts";

/** What `waitFor` looks at, and how long. */
export interface WaitOptions {
  readonly timeoutMs?: number;
}

const POLL_MS = 20;
/** No claim about the mesh: longer than a busy machine takes to start one of its programs again. */
const WAIT_TIMEOUT_MS = 30_000;

export class ClusterView {
  readonly client: ControlClient;

  constructor(client: ControlClient) {
    this.client = client;
  }

  /** All objects of a kind with what istiod-lite wrote about them. */
  async list<Kind extends KubernetesKind>(
    kind: Kind,
    namespace?: string,
  ): Promise<readonly Extract<KubernetesObject, { kind: Kind }>[]> {
    const { items } = await this.client.objects(kind, namespace);
    return items.filter((item): item is Extract<KubernetesObject, { kind: Kind }> => {
      return item.kind === kind;
    });
  }

  /** `reference` is `namespace/name`, or a name for a cluster-scoped kind or in `default`. */
  async find<Kind extends KubernetesKind>(
    kind: Kind,
    reference: string,
  ): Promise<Extract<KubernetesObject, { kind: Kind }> | undefined> {
    const [namespace = "default", name] = splitReference(reference);
    const all = await this.list(kind);
    return all.find(
      ({ metadata }) => metadata.name === name && (metadata.namespace ?? namespace) === namespace,
    );
  }

  /**
   * A pod by `namespace/name`, or one of a Deployment by `namespace/deployment`. Throws if none.
   */
  async pod(reference: string): Promise<Pod> {
    const [namespace = "default", name] = splitReference(reference);
    const pods = await this.list("Pod", namespace);
    const exact = pods.find((pod) => pod.metadata.name === name);
    const owned = pods.filter((pod) => ownerOf(pod) === name);
    const pod = exact ?? owned.find(isReady) ?? owned[0];
    if (pod !== undefined) return pod;
    throw new Error(
      `no pod ${reference}; there are ${pods.map((p) => p.metadata.name).join(", ")}`,
    );
  }

  /** The pods of a Deployment, `namespace/deployment`, without those on their way out. */
  async podsOf(deployment: string): Promise<readonly Pod[]> {
    const [namespace = "default", name] = splitReference(deployment);
    const pods = await this.list("Pod", namespace);
    return pods.filter((p) => ownerOf(p) === name && p.metadata.deletionTimestamp === undefined);
  }

  /** The pod's address of that family. */
  async podIp(reference: string, family: "ipv4" | "ipv6" = "ipv4"): Promise<string> {
    const { status } = await this.pod(reference);
    const ip = status?.podIPs?.find((entry) => entry.ip.includes(":") === (family === "ipv6"))?.ip;
    if (ip === undefined) throw new Error(`pod ${reference} has no ${family} address`);
    return ip;
  }

  /** Waits until a pod is as the condition says; a Deployment's pod is chosen anew each time. */
  waitFor(
    reference: string,
    condition: (pod: Pod) => boolean,
    options: WaitOptions = {},
  ): Promise<void> {
    return this.until(
      `pod ${reference} meets its condition`,
      async () => condition(await this.pod(reference)),
      options,
    );
  }

  /**
   * Waits until something holds; throws with the last state of the cluster's problems otherwise.
   */
  async until(
    what: string,
    holds: () => Promise<boolean> | boolean,
    { timeoutMs = WAIT_TIMEOUT_MS }: WaitOptions = {},
  ): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    let cause: unknown;
    while (Date.now() < deadline) {
      try {
        if (await holds()) return;
        cause = undefined;
      } catch (error) {
        cause = error;
      }
      await sleep(POLL_MS);
    }
    throw new Error(`after ${timeoutMs} ms it does not hold that ${what}`, { cause });
  }

  /** Throws if the folder has errors (warnings are fine). */
  async checkProblems(): Promise<void> {
    const { problems } = await this.client.info();
    const errors = problems.filter((line) => /:\d+: error: /.test(line));
    if (errors.length > 0) throw new Error(`the objects have errors:\n${errors.join("\n")}`);
  }

  /** Throws if there is a pod that is neither ready nor over. */
  async checkReady(): Promise<void> {
    const pods = await this.list("Pod");
    const unready = pods.filter((pod) => !isReady(pod) && pod.status?.phase !== "Succeeded");
    if (unready.length === 0) return;
    const lines = unready.map((pod) => {
      const why = pod.status?.conditions?.find(({ type }) => type === "Ready")?.message;
      return `${pod.metadata.namespace}/${pod.metadata.name}: ${why}`;
    });
    throw new Error(`these pods are not ready:\n${lines.join("\n")}`);
  }
}

/** The state of the pod's capture: `enabled`, `pending`, or undefined. */
export function redirectionOf(pod: Pod): string | undefined {
  return pod.metadata.annotations?.["ambient.istio.io/redirection"];
}

/** The Deployment that a pod belongs to. */
function ownerOf(pod: Pod): string | undefined {
  const owner = pod.metadata.ownerReferences?.find(({ kind }) => kind === "ReplicaSet");
  return owner?.name.replace(/-[^-]+$/, "");
}

/** `namespace/name` in its two parts; the namespace is absent from a plain name. */
export function splitReference(reference: string): [string | undefined, string] {
  const slash = reference.indexOf("/");
  if (slash < 0) return [undefined, reference];
  return [reference.slice(0, slash), reference.slice(slash + 1)];
}
