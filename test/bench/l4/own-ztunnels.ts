/** Our ztunnels and istiod-lite, as `meshctl up` runs them. */
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import type { Contender } from "./contender.ts";
import type { Mode } from "./metrics.ts";
import { NODES } from "./topology.ts";

const START_TIMEOUT_MS = 30_000;

export class OwnZtunnels implements Contender {
  readonly name = "ours";
  readonly #cluster: TestCluster;
  /** What istiod-lite was last told about HBONE; it starts with its default. */
  #hbone = true;

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  /**
   * To be called once, first: ends the ztunnels that came with the cluster in good order, which is
   * when Node writes its compile cache. Without one, reading TypeScript alone takes 30 MB.
   */
  async prepare(): Promise<void> {
    await Promise.all(
      NODES.map(async (node) => {
        const ztunnel = this.#cluster.ztunnel(node);
        const pid = await ztunnel.pid();
        await ztunnel.kill("SIGTERM");
        const ended = async () => (await ztunnel.pid().catch(() => 0)) !== pid;
        await this.#cluster.until(`ztunnel of ${node} has ended`, ended);
        await ztunnel.stop();
      }),
    );
  }

  async start(mode: Mode): Promise<void> {
    const cluster = this.#cluster;
    await this.#setHbone(mode === "hbone");
    await Promise.all(NODES.map((node) => cluster.ztunnel(node).start()));
    await cluster.until(
      "both ztunnels are ready",
      async () => {
        const ready = await Promise.all(NODES.map((node) => cluster.ztunnel(node).isReady()));
        return ready.every((one) => one);
      },
      { timeoutMs: START_TIMEOUT_MS },
    );
  }

  procDirs(): Promise<readonly string[]> {
    return Promise.all(NODES.map((node) => this.#cluster.ztunnel(node).procDir()));
  }

  async stop(): Promise<void> {
    await Promise.all(NODES.map((node) => this.#cluster.ztunnel(node).stop()));
  }

  /** The switch is mesh-wide and read at the start of istiod-lite, as Istio's is. */
  async #setHbone(hbone: boolean): Promise<void> {
    if (this.#hbone === hbone) return;
    const { istiod } = this.#cluster;
    await istiod.stop();
    await istiod.start({ PILOT_ENABLE_SENDING_HBONE: String(hbone) });
    this.#hbone = hbone;
    await this.#cluster.waitFor("istio-system/istiod", isReady, { timeoutMs: START_TIMEOUT_MS });
  }
}
