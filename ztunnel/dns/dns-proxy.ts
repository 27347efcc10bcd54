/**
 * The DNS proxy of a node: one `PodDns` per pod, whether its DNS is captured or not. The rules of a
 * pod decide that, and may change their mind.
 */
import type { CapturedPod } from "#common/model/captured-pod.ts";
import type { Netns } from "#ztunnel/sys/syscalls.ts";
import { openDnsListeners } from "./dns-listeners.ts";
import { PodQueries } from "./in-flight.ts";
import { PodDns } from "./pod-dns.ts";
import type { DnsContext } from "./pod-dns-context.ts";
import { PodResolver } from "./pod-resolver.ts";

export class DnsProxy {
  readonly #context: DnsContext;
  readonly #pods = new Map<string, PodDns>();

  constructor(context: DnsContext) {
    this.#context = context;
  }

  /**
   * Listens in a pod's namespace, which has to stay open until `remove`; a pod that is served
   * already is served anew. Throws what the kernel refuses.
   */
  async add(pod: CapturedPod, netns: Netns): Promise<void> {
    this.remove(pod.uid);
    const { locateResolvConf, options, queries, syscalls } = this.#context;
    const resolver = new PodResolver({
      locate: () => locateResolvConf(pod),
      namespace: pod.namespace,
      clusterDomain: options.clusterDomain.join("."),
      now: () => performance.now(),
    });
    const context = { ...this.#context, pod, netns, resolver, queries: new PodQueries(queries) };
    const dns = new PodDns(context);
    this.#pods.set(pod.uid, dns);
    await dns.listen(openDnsListeners(syscalls, netns));
  }

  remove(podUid: string): void {
    this.#pods.get(podUid)?.close();
    this.#pods.delete(podUid);
  }

  /** Answers what has been asked, until the deadline, then ends. */
  async drain(deadlineMs: number): Promise<void> {
    await Promise.all([...this.#pods.values()].map((dns) => dns.drain(deadlineMs)));
    this.#pods.clear();
  }
}
