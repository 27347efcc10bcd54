/** The pods of the cluster, with an index for every question the registry asks about them. */
import type { Pod } from "#common/kubernetes/objects.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { LabelIndex, type Labels, selectorMatches } from "./label-index.ts";
import { addToSet, deleteFromSet } from "./multi-map.ts";
import { namespacedName, ownsItsAddresses, podAddresses, serviceAccountOf } from "./pod-facts.ts";
import { gatewayOf } from "./waypoints/scope.ts";

const NONE: ReadonlySet<string> = new Set();

/** Which pod, where, as whom: what callers are checked against. */
export interface PodPlace {
  readonly uid: string;
  /** "" while it is not scheduled. */
  readonly node: string;
  readonly serviceAccount: string;
  /** `<namespace>/<name>` of the Gateway that its label names. */
  readonly waypoint: string | undefined;
}

/** Pods are known by `<namespace>/<name>`. */
export class PodStore {
  readonly #pods = new Map<string, Pod>();
  readonly #byNamespace = new Map<string, Set<string>>();
  readonly #byNode = new Map<string, Set<string>>();
  readonly #byAddress = new Map<IpAddress, Set<string>>();
  readonly #labels = new LabelIndex();

  get(key: string): Pod | undefined {
    return this.#pods.get(key);
  }

  keys(): Iterable<string> {
    return this.#pods.keys();
  }

  /** Those with a pod. */
  namespaces(): Iterable<string> {
    return this.#byNamespace.keys();
  }

  inNamespace(namespace: string): ReadonlySet<string> {
    return this.#byNamespace.get(namespace) ?? NONE;
  }

  onNode(node: string): ReadonlySet<string> {
    return this.#byNode.get(node) ?? NONE;
  }

  /**
   * Pods that own the address: not those that share their node's, nor those that have run to their
   * end.
   */
  atAddress(ip: IpAddress): ReadonlySet<string> {
    return this.#byAddress.get(ip) ?? NONE;
  }

  /** Pods of one namespace that a Service selector selects; an empty selector selects none. */
  selected(namespace: string, selector: Labels): readonly string[] {
    const candidates = [...this.#labels.candidatePods(namespace, selector)];
    return candidates.filter((key) =>
      selectorMatches(selector, this.#pods.get(key)?.metadata.labels ?? {}),
    );
  }

  place(key: string): PodPlace | undefined {
    const pod = this.#pods.get(key);
    if (pod === undefined) return undefined;
    const { nodeName: node = "" } = pod.spec;
    const { metadata } = pod;
    return {
      uid: metadata.uid ?? "",
      node,
      serviceAccount: serviceAccountOf(pod),
      waypoint: gatewayOf(metadata),
    };
  }

  /**
   * Whether a pod of the service account runs on the node, or is about to, in a network of its own:
   * its certificate is fetched before its address is known.
   */
  runsOnNode(node: string, namespace: string, serviceAccount: string): boolean {
    for (const key of this.onNode(node)) {
      const pod = this.#pods.get(key);
      if (pod === undefined || pod.metadata.namespace !== namespace) continue;
      if (ownsItsAddresses(pod) && serviceAccountOf(pod) === serviceAccount) return true;
    }
    return false;
  }

  set(pod: Pod): void {
    const key = namespacedName(pod);
    this.delete(key);
    this.#pods.set(key, pod);
    const { namespace = "default", labels = {} } = pod.metadata;
    addToSet(this.#byNamespace, namespace, key);
    addToSet(this.#byNode, pod.spec.nodeName ?? "", key);
    for (const ip of ownAddresses(pod)) addToSet(this.#byAddress, ip, key);
    this.#labels.addPod(namespace, key, labels);
  }

  delete(key: string): void {
    const pod = this.#pods.get(key);
    if (pod === undefined) return;
    this.#pods.delete(key);
    const { namespace = "default", labels = {} } = pod.metadata;
    deleteFromSet(this.#byNamespace, namespace, key);
    deleteFromSet(this.#byNode, pod.spec.nodeName ?? "", key);
    for (const ip of ownAddresses(pod)) deleteFromSet(this.#byAddress, ip, key);
    this.#labels.removePod(namespace, key, labels);
  }
}

/** The addresses that are this pod's alone. */
export function ownAddresses(pod: Pod | undefined): readonly IpAddress[] {
  return pod !== undefined && ownsItsAddresses(pod) ? podAddresses(pod) : [];
}
