/**
 * What changes while the traffic goes on. Whatever a call could notice is brought about in the
 * order that Kubernetes promises: a server listens before it gets into its service, and it is out
 * of the service everywhere, and done with its last call, before it ends.
 */
import { redirectionOf, type TestCluster } from "#test/support/cluster.ts";
import { namespace } from "#test/support/objects.ts";
import { configDump } from "#test/support/ztunnel-view.ts";
import { extraServer, NODES, noGuests, noStrangers, SIDE_NAMESPACE } from "./plan.ts";
import { type SoakTraffic, serve } from "./traffic.ts";

/** A busy machine is slow to see a change through. */
const PATIENCE = { timeoutMs: 60_000 };

export type ChurnCounts = Record<"pods" | "policies" | "labels" | "ztunnels" | "istiods", number>;

export class Churn {
  readonly counts: ChurnCounts = { pods: 0, policies: 0, labels: 0, ztunnels: 0, istiods: 0 };
  readonly #cluster: TestCluster;
  readonly #traffic: SoakTraffic;
  #round = 0;

  constructor(cluster: TestCluster, traffic: SoakTraffic) {
    this.#cluster = cluster;
    this.#traffic = traffic;
  }

  /** Whether there was at least one of each. */
  get complete(): boolean {
    return Object.values(this.counts).every((count) => count > 0);
  }

  /** One of each; with `programs`, a program of the mesh ends too. */
  async round(programs: boolean): Promise<void> {
    const round = ++this.#round;
    const { cluster, counts } = { cluster: this.#cluster, counts: this.counts };
    const servers = await this.#addServer(round);
    await this.#changePolicies(round);
    if (programs) await this.#replaceProgram(round);
    const mesh = round % 2 === 0 ? "ambient" : "none";
    await cluster.apply(namespace(SIDE_NAMESPACE, mesh));
    await cluster.waitFor(
      `${SIDE_NAMESPACE}/bystander`,
      (pod) => (redirectionOf(pod) === "enabled") === (mesh === "ambient"),
      PATIENCE,
    );
    counts.labels++;
    await this.#removeServer(round);
    for (const server of servers) server.close();
  }

  async #addServer(round: number) {
    const name = `shop/extra-${round}`;
    const cluster = this.#cluster;
    await cluster.apply(...extraServer(round, false));
    await cluster.waitFor(name, (pod) => redirectionOf(pod) === "enabled", PATIENCE);
    const servers = await serve(this.#traffic.sockets, name);
    await cluster.apply(...extraServer(round, true));
    await this.#untilServing(name, true);
    return servers;
  }

  async #removeServer(round: number): Promise<void> {
    const name = `shop/extra-${round}`;
    await this.#cluster.apply(...extraServer(round, false));
    await this.#untilServing(name, false);
    await this.#traffic.quiesce();
    await this.#cluster.delete("Pod", name);
    this.counts.pods++;
  }

  /** Whether the server is in its service, as every ztunnel sees it. */
  #untilServing(name: string, serving: boolean): Promise<void> {
    const [, pod = ""] = name.split("/");
    return this.#everywhere(`${name} is ${serving ? "" : "not "}in its service`, ({ services }) => {
      const web = services.find((one) => one.name === "web" && one.namespace === "shop");
      const uids = Object.keys(web?.endpoints ?? {});
      return uids.some((uid) => uid.endsWith(`/shop/${pod}`)) === serving;
    });
  }

  async #changePolicies(round: number): Promise<void> {
    const cluster = this.#cluster;
    await cluster.apply(noStrangers(round));
    this.#traffic.guestIs = "either";
    await cluster.apply(noGuests());
    await this.#untilPolicies(`nobody-${round}`, true);
    this.#traffic.guestIs = "denied";
    await this.#traffic.quiesce();
    this.#traffic.guestIs = "either";
    await cluster.delete("AuthorizationPolicy", "shop/no-guests");
    await this.#untilPolicies(`nobody-${round}`, false);
    this.#traffic.guestIs = "allowed";
    this.counts.policies += 3;
  }

  #untilPolicies(changed: string, guestsDenied: boolean): Promise<void> {
    return this.#everywhere("the policies are in force", ({ policies }) => {
      const denied = policies.some(({ name }) => name === "no-guests");
      return denied === guestsDenied && JSON.stringify(policies).includes(`"${changed}"`);
    });
  }

  /** The workers answer a dump in turn with the changes that they were told of before it. */
  #everywhere(
    what: string,
    holds: (dump: Awaited<ReturnType<typeof configDump>>) => boolean,
  ): Promise<void> {
    const look = async (): Promise<boolean> => {
      const dumps = await Promise.all(NODES.map((node) => configDump(this.#cluster, node)));
      return dumps.every(holds);
    };
    return this.#cluster.until(what, look, PATIENCE);
  }

  async #replaceProgram(round: number): Promise<void> {
    if (round % 3 === 2) {
      const pid = await this.#cluster.istiod.pid();
      await this.#cluster.istiod.kill("SIGKILL");
      const isBack = async () => (await this.#cluster.istiod.pid()) !== pid;
      await this.#cluster.until("there is another istiod-lite", isBack, PATIENCE);
      this.counts.istiods++;
      return;
    }
    await this.#cluster.ztunnel(round % 3 === 1 ? "node1" : "node2").replace();
    // Those that stood before go on; the old ztunnel ends when its last one has.
    await this.#traffic.renewStanding();
    this.counts.ztunnels++;
  }
}
