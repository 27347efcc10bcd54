/**
 * `meshctl ztunnel-config` over a mesh with a policy and open connections, and who else reaches the
 * port that it asks.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { TestCluster } from "#test/support/cluster.ts";
import { assertIstioctlReads } from "#test/support/istioctl-dump.ts";
import { PodSockets, readBytes } from "#test/support/pod-sockets.ts";
import { type RunOptions, run } from "#test/support/run.ts";
import { TELEMETRY_OBJECTS } from "#test/support/telemetry-objects.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";

const MAIN = join(import.meta.dirname, "../../meshctl/main.ts");
const PORT = 8080;
const TIMEOUT_MS = 60_000;

describe("ztunnel-config", () => {
  let cluster: TestCluster;
  let sockets: PodSockets;
  let name: string;

  const meshctl = (argv: readonly string[], options: RunOptions = {}) =>
    run([process.execPath, MAIN, "zc", ...argv], { timeoutMs: TIMEOUT_MS, ...options });

  /** Its rows as cells, without the header. */
  const rows = async (...argv: string[]): Promise<string[][]> => {
    const { stdout, stderr, code } = await meshctl([...argv, "--name", name]);
    assert.equal(`${code} ${stderr}`, "0 ");
    const lines = stdout.trimEnd().split("\n").slice(1);
    return lines.map((line) => line.split(/ +/));
  };

  before(async () => {
    cluster = await startMesh({ objects: TELEMETRY_OBJECTS });
    ({ name } = await cluster.client.info());
    sockets = new PodSockets(cluster);
    await sockets.serve("shop/web-0", PORT, (socket) => void socket.pipe(socket));
    const { spec } = (await cluster.find("Service", "shop/web")) ?? {};
    const standing = await sockets.dial("shop/client", {
      ip: spec?.clusterIPs?.[0] ?? "",
      port: 80,
    });
    standing.write("x");
    await readBytes(standing, 1);
  });

  after(async () => {
    sockets?.[Symbol.dispose]();
    await cluster?.stop();
  });

  test("shows workloads, services and policies of any ztunnel", async () => {
    const pods = await rows("workload", "--workload-namespace", "shop");
    assert.deepEqual(
      pods.map(([, pod, , node, waypoint, protocol]) => [pod, node, waypoint, protocol]),
      [
        ["client", "node1", "None", "HBONE"],
        ["web-0", "node2", "None", "HBONE"],
      ],
    );
    const [web] = await rows("service", "--service-namespace", "shop");
    assert.deepEqual([web?.[1], web?.at(-1)], ["web", "1/1"]);
    assert.deepEqual(await rows("policy"), [["shop", "web", "Deny", "WorkloadSelector"]]);
    const one = await rows("workload", "web-0.shop");
    assert.deepEqual(
      one.map(([, pod]) => pod),
      ["web-0"],
    );
  });

  test("shows an open connection at both ends, and the certificates of a node", async () => {
    const client = await rows("connections", "client", "-n", "shop");
    assert.deepEqual(
      client.map((row) => [row[1], ...row.slice(3)]),
      [["Outbound", "web-0.shop:15008", "web.shop.svc.cluster.local:80", "HBONE"]],
    );
    const server = await rows("connections", "ztunnel-node2");
    assert.deepEqual(
      server.map(([pod, direction, local, , target]) => [pod, direction, local, target]),
      [["web-0.shop", "Inbound", `web-0.shop:${PORT}`, "web.shop.svc.cluster.local"]],
    );
    const certificates = await rows("certificate", "--node", "node2");
    assert.deepEqual(
      certificates.map(([identity, type, status, valid]) => [identity, type, status, valid]),
      ["Leaf", "Root"].map((type) => [
        "spiffe://cluster.local/ns/shop/sa/web",
        type,
        "Available",
        "true",
      ]),
    );
  });

  test("gives a dump that istioctl reads, and shows it again from standard input", async () => {
    const where = ["--node", "node1", "--name", name];
    const { stdout: dump } = await meshctl(["all", "-o", "json", ...where]);
    assertIstioctlReads(JSON.parse(dump));
    const live = await meshctl(["all", "--with-headers", ...where]);
    const again = await meshctl(["all", "--with-headers", "-f", "-"], { stdin: dump });
    assert.equal(again.stdout, live.stdout);
    assert.match(again.stdout, /------ CONNECTIONS INFO ------/);
  });

  test("changes what one ztunnel logs, and what all do", async () => {
    const log = async (...argv: string[]) =>
      (await meshctl(["log", ...argv, "--name", name])).stdout;
    const changed = "ztunnel-node1.istio-system:\ncurrent log level is access=off,info\n\n";
    assert.equal(await log("node1", "--level", "access:off"), changed);
    const other = "ztunnel-node2.istio-system:\ncurrent log level is info\n\n";
    assert.equal(await log(), changed + other);
    await log("--reset");
    assert.doesNotMatch(await log(), /access/);
  });

  test("says which ztunnels there are where it matters which, and what is wrong otherwise", async () => {
    const wrong: [argv: string[], message: RegExp][] = [
      [["connections"], /say which one\nnext: .*ztunnel-node1, ztunnel-node2/],
      [
        ["workload", "--node", "node9"],
        /no ztunnel runs on a node node9\nnext: they run on node1, node2/,
      ],
      [["workload", "nobody.shop"], /no pod nobody in namespace shop/],
      [["workload", "client.shop", "--node", "node1"], /exclude each other/],
      [["workload", "--node", "node1", "--proxy-admin-port", "15001"], /does not answer/],
      [["log", "--level", "loud"], /levels: off, error/],
    ];
    for (const [argv, message] of wrong) {
      const { code, stderr } = await meshctl([...argv, "--name", name]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, message);
    }
  });

  test("asks a port that no pod reaches, captured or not, by any address of the node", async () => {
    const { nodes } = await cluster.client.info();
    const addresses = nodes.flatMap(({ ips }) => ips);
    for (const pod of ["shop/client", "outside/client"]) {
      for (const host of ["127.0.0.1", "::1", ...addresses]) {
        const url = `http://${host.includes(":") ? `[${host}]` : host}:15000/config_dump`;
        const { code, stdout } = await cluster.inPodNetns(pod, ["curl", "-sS", "-m", "10", url]);
        assert.equal(stdout, "", `${pod} ${url}`);
        assert.notEqual(code, 0, `${pod} ${url}`);
      }
    }
  });
});
