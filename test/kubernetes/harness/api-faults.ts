/** What can befall the API server and its store. */

import { API_SERVER_PORT } from "./addresses.ts";
import type { ControlPlane } from "./control-plane.ts";
import { apiServerReady } from "./control-plane.ts";
import { ETCD_URL } from "./control-plane-programs.ts";
import type { Kubectl } from "./kubectl.ts";

export class ApiFaults {
  readonly #controlPlane: ControlPlane;
  readonly #kubectl: Kubectl;
  #tables = 0;

  constructor(controlPlane: ControlPlane, kubectl: Kubectl) {
    this.#controlPlane = controlPlane;
    this.#kubectl = kubectl;
  }

  /** Ends the API server (SIGTERM unless said otherwise) and resolves when the next is ready. */
  async restartApiServer(signal?: NodeJS.Signals): Promise<void> {
    await this.#controlPlane.apiServer.restart(signal);
    await apiServerReady(this.#kubectl);
  }

  /**
   * etcd forgets every version but the newest. The API server itself still remembers what it saw
   * since its start: only together with a restart do old resource versions answer 410.
   */
  async compactEtcd(): Promise<void> {
    const status = JSON.parse(await this.#etcd("maintenance/status", {})) as {
      header: { revision: string };
    };
    await this.#etcd("kv/compaction", { revision: status.header.revision, physical: true });
  }

  /**
   * Drops every packet between these addresses and the API server, also of connections that are
   * there: nobody is told. What is returned ends it.
   */
  async dropPackets(addresses: readonly string[]): Promise<() => Promise<void>> {
    this.#tables += 1;
    const table = `faults${this.#tables}`;
    const them = `{ ${addresses.join(", ")} }`;
    const chain = (hook: string, rule: string) =>
      `chain ${hook} { type filter hook ${hook} priority 0; policy accept; ${rule} drop; }`;
    const chains = [
      chain("input", `ip saddr ${them} tcp dport ${API_SERVER_PORT}`),
      chain("output", `ip daddr ${them} tcp sport ${API_SERVER_PORT}`),
    ];
    const { namespaces } = this.#controlPlane;
    await namespaces.check(["nft", `table inet ${table} { ${chains.join("; ")}; }`]);
    return async () => void (await namespaces.check(["nft", `delete table inet ${table}`]));
  }

  /** etcd's JSON gateway: etcdctl is not needed. */
  #etcd(method: string, body: object): Promise<string> {
    const url = `${ETCD_URL}/v3/${method}`;
    const argv = ["curl", "-fsS", "-d", JSON.stringify(body), url];
    return this.#controlPlane.namespaces.check(argv);
  }
}
