/**
 * Hosts that a ServiceEntry declares: their names are the mesh's, their endpoints may be names too.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { TestCluster } from "#test/support/cluster.ts";
import { DnsSockets } from "#test/support/dns-client.ts";
import { namespace, pod, service, serviceEntry } from "#test/support/objects.ts";
import { PodSockets } from "#test/support/pod-sockets.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";
import { makeQuery, records } from "#ztunnel/dns/dns-fixtures.ts";

const ZTUNNEL = fileURLToPath(new URL("../../ztunnel/main.ts", import.meta.url));
const CLUSTER_DNS = "10.96.0.10";
const PORT = 8080;

/** A host that is reached by looking its endpoint's name up: first a good one, then none. */
function external(name: string, endpoint: string): object {
  return serviceEntry("shop", name, {
    hosts: [`${name}.example.com`],
    ports: [{ number: 80, name: "tcp", protocol: "TCP", targetPort: PORT }],
    resolution: "DNS",
    endpoints: [{ address: endpoint }],
  });
}

describe("a host of a ServiceEntry", () => {
  let cluster: TestCluster;
  let dns: DnsSockets;
  let sockets: PodSockets;
  let dir = "";

  before(async () => {
    // ztunnel's own name server is that of its node: here it is the cluster's.
    dir = await mkdtemp(join(tmpdir(), "dns-endpoints-"));
    const resolvConf = join(dir, "resolv.conf");
    await writeFile(resolvConf, `nameserver ${CLUSTER_DNS}\n`);
    const script = `mount --bind ${resolvConf} /etc/resolv.conf; exec "$0" "$@"`;
    const command = ["unshare", "--mount", "sh", "-c", script, process.execPath, ZTUNNEL];
    cluster = await startMesh({
      objects: [
        namespace("shop", "ambient"),
        namespace("outside", undefined),
        ...pod({ namespace: "shop", name: "client", node: "node1" }),
        ...pod({ namespace: "outside", name: "server", node: "node2" }),
        service({ namespace: "outside", name: "server", port: PORT }),
        external("api", "server.outside.svc.cluster.local"),
        external("nowhere", "nobody.outside.svc.cluster.local"),
      ],
      ztunnel: { command },
    });
    dns = new DnsSockets(cluster);
    sockets = new PodSockets(cluster);
    await sockets.serve("outside/server", PORT, (socket) => void socket.end("served"));
  });

  after(async () => {
    dns?.[Symbol.dispose]();
    sockets?.[Symbol.dispose]();
    await cluster?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const ask = async (name: string, type = "A") =>
    records(await dns.ask("shop/client", CLUSTER_DNS, makeQuery({ name, type })));

  async function addressOf(name: string): Promise<string> {
    let found: readonly string[] = [];
    await cluster.until(`${name} has an address`, async () => {
      found = await ask(name);
      return found.length > 0;
    });
    return found[0]?.split(" ").at(-1) ?? "";
  }

  test("has the address that the mesh gave it, with a search domain behind it too", async () => {
    const vip = await addressOf("api.example.com");
    assert.match(vip, /^240\.240\./);
    assert.deepEqual(await ask("API.example.com.shop.svc.cluster.local"), [
      "API.example.com.shop.svc.cluster.local CNAME API.example.com",
      `API.example.com A ${vip}`,
    ]);
    const [ipv6] = await ask("api.example.com", "AAAA");
    assert.match(ipv6 ?? "", /^api\.example\.com AAAA 2001:2:/);
  });

  test("is reached where its endpoint's name leads, looked up once", async () => {
    const node1 = cluster.ztunnel("node1");
    const ip = await addressOf("api.example.com");
    // At once: its address is good for five seconds only.
    const calls = [1, 2, 3].map(() => sockets.call("shop/client", { ip, port: 80 }));
    for (const { received } of await Promise.all(calls)) {
      assert.equal(received.toString(), "served");
    }
    const counted = () => node1.metric("istio_on_demand_dns_total");
    await cluster.until("the look-up is counted", async () => (await counted()) > 0);
    assert.equal(await counted(), 1);
  });

  test("whose endpoint's name leads nowhere is refused, with a reason", async () => {
    const ip = await addressOf("nowhere.example.com");
    const { how } = await sockets.call("shop/client", { ip, port: 80 });
    assert.equal(how, "reset");
    await cluster.until("the refusal is logged", async () => {
      const logs = await cluster.ztunnel("node1").logs();
      return /no healthy upstream|no address for host/.test(logs);
    });
  });
});
