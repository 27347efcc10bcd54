/** A real cluster without the mesh: addresses, services, names, nodes. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";
import { fetchWeb, WEB_PODS, type WebAnswer } from "#test/support/web-pods.ts";

describe("the network of a cluster", () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startCluster({ mesh: false, objects: [WEB_PODS] });
  });
  after(() => cluster.stop());

  const fetch = (url: string, ...options: string[]): Promise<WebAnswer> =>
    fetchWeb(cluster, url, ...options);

  test("gives each pod an address of its node in both families", async () => {
    for (const pod of await cluster.podsOf("shop/web")) {
      const number = pod.spec.nodeName === "node1" ? 1 : 2;
      const [ipv4, ipv6] = pod.status?.podIPs ?? [];
      assert.match(ipv4?.ip ?? "", new RegExp(`^10\\.244\\.${number}\\.`));
      assert.match(ipv6?.ip ?? "", new RegExp(`^fd00:10:244:${number}::`));
    }
  });

  test("connects pods on one node and across nodes, and shows the server the client's own address", async () => {
    const [ipv4, ipv6] = [
      await cluster.podIp("shop/client"),
      await cluster.podIp("shop/client", "ipv6"),
    ];
    const pods = await cluster.podsOf("shop/web");
    assert.deepEqual(new Set(pods.map((pod) => pod.spec.nodeName)), new Set(["node1", "node2"]));
    for (const pod of pods) {
      const [first, second] = pod.status?.podIPs ?? [];
      const four = await fetch(`http://${first?.ip}:8080/`);
      const six = await fetch(`http://[${second?.ip}]:8080/`);
      assert.deepEqual(four, { pod: pod.metadata.name, peer: `::ffff:${ipv4}` });
      assert.deepEqual(six, { pod: pod.metadata.name, peer: ipv6 });
    }
  });

  test("spreads connections to a service over its pods, by name and by address, in both families", async () => {
    const service = await cluster.find("Service", "shop/web");
    const [ipv4 = "", ipv6 = ""] = service?.spec.clusterIPs ?? [];
    assert.match(ipv4, /^10\.96\./);
    assert.match(ipv6, /^fd00:10:96::/);
    const seen = new Set<string>();
    for (let i = 0; i < 40 && seen.size < 2; i++) seen.add((await fetch("http://web/")).pod);
    assert.equal(seen.size, 2);
    const client = await cluster.podIp("shop/client", "ipv6");
    assert.equal((await fetch(`http://[${ipv6}]/`)).peer, client);
    await fetch(`http://${ipv4}/`);
    await fetch("http://web.shop.svc.cluster.local/", "-4");
  });

  test("lets processes of a node reach services", async () => {
    const service = await cluster.find("Service", "shop/web");
    const url = `http://${service?.spec.clusterIP}/`;
    for (const node of ["node1", "node2"]) {
      const { stdout, stderr } = await cluster.inNodeNetns(node, ["curl", "-sS", "-m3", url]);
      const peer = node === "node1" ? "::ffff:172.18.0.2" : "::ffff:172.18.0.3";
      assert.equal((JSON.parse(stdout || "{}") as WebAnswer).peer, peer, stderr);
    }
  });

  test("lets a pod reach itself through its service", async () => {
    const pods = await cluster.podsOf("shop/web");
    for (const { metadata } of pods) {
      const self = `${metadata.namespace}/${metadata.name}`;
      const seen = new Set<string>();
      for (let i = 0; i < 40 && seen.size < 2; i++) {
        const { stdout, stderr } = await cluster.exec(self, ["curl", "-sS", "-m3", "http://web/"]);
        seen.add((JSON.parse(stdout || "{}") as WebAnswer).pod);
        assert.equal(stderr, "");
      }
      assert.equal(seen.size, 2);
    }
  });

  test("refuses a service without endpoints, and a port that a service does not have", async () => {
    for (const url of ["http://nobody/", "http://web:81/"]) {
      const { code, stderr } = await cluster.exec("shop/client", ["curl", "-sS", "-m3", url]);
      assert.equal(code, 7, stderr); // curl's status for a refused connection
    }
  });

  test("answers names of headless services with the addresses of their pods", async () => {
    const { stdout } = await cluster.exec("shop/client", ["getent", "ahostsv4", "web-pods"]);
    const found = new Set(stdout.split("\n").flatMap((line) => line.split(/\s+/)[0] || []));
    const pods = await cluster.podsOf("shop/web");
    assert.deepEqual(found, new Set(pods.map((pod) => pod.status?.podIP)));
    assert.ok((await fetch("http://web-pods:8080/")).pod);
  });

  test("says that a name outside the cluster does not exist", async () => {
    const begun = Date.now();
    const { code } = await cluster.exec("shop/client", [
      "curl",
      "-sS",
      "-m5",
      "http://example.com/",
    ]);
    assert.equal(code, 6); // curl's status for a name that does not resolve
    // A resolver that gets no answer asks again after 5 s.
    assert.ok(Date.now() - begun < 4_500, "the answer comes at once");
  });

  test("answers DNS over TCP", async () => {
    const script = `
      const net = require("node:net");
      const { Resolver } = require("node:dns").promises;
      const name = ["web", "shop", "svc", "cluster", "local"];
      const q = Buffer.concat([Buffer.from("abcd01000001000000000000", "hex"),
        ...name.map((l) => Buffer.from(String.fromCharCode(l.length) + l)),
        Buffer.from("0000010001", "hex")]);
      const framed = Buffer.concat([Buffer.from([0, q.length]), q]);
      const s = net.connect(53, "10.96.0.10", () => s.write(framed));
      s.on("data", (d) => { console.log(d.subarray(-4).join(".")); s.destroy(); });`;
    const { stdout, stderr } = await cluster.exec("shop/client", ["node", "-e", script]);
    const service = await cluster.find("Service", "shop/web");
    // The last record of the answer is the address.
    assert.equal(stdout.trim(), service?.spec.clusterIP, stderr);
  });

  test("follows a service without selector to the addresses of an EndpointSlice", async () => {
    const ip = await cluster.podIp("shop/web");
    await cluster.apply(`
apiVersion: v1
kind: Service
metadata: {name: byhand, namespace: shop}
spec: {ports: [{port: 8000}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: byhand, namespace: shop, labels: {kubernetes.io/service-name: byhand}}
addressType: IPv4
endpoints: [{addresses: [${ip}]}]
ports: [{port: 8080}]
`);
    assert.ok((await fetch("http://byhand:8000/")).pod);
  });

  test("runs a host-network pod in the network of its node", async () => {
    await cluster.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "agent", namespace: "shop" },
      spec: {
        nodeName: "node2",
        hostNetwork: true,
        containers: [{ name: "c", image: "busybox", command: ["sleep", "infinity"] }],
      },
    });
    await cluster.waitFor("shop/agent", isReady);
    assert.equal((await cluster.pod("shop/agent")).status?.podIP, "172.18.0.3");
    const { stdout } = await cluster.exec("shop/agent", ["ip", "-br", "addr", "show", "eth0"]);
    assert.match(stdout, /172\.18\.0\.3\/16/);
  });

  test("takes in a node that is added, and moves pods off one that is removed", async () => {
    const node = (name: string) => ({ apiVersion: "v1", kind: "Node", metadata: { name } });
    await cluster.apply(node("node1"), node("node2"), {
      ...node("node3"),
      spec: { podCIDRs: ["10.250.0.0/24", "fd00:250::/64"] },
    });
    const guest = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "guest", namespace: "shop" },
      spec: {
        nodeSelector: { "kubernetes.io/hostname": "node3" },
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: "c",
            image: "node",
            command: [
              "node",
              "-e",
              "require('http').createServer((q,r)=>r.end('{}')).listen(8080)",
            ],
            readinessProbe: { tcpSocket: { port: 8080 } },
          },
        ],
      },
    };
    await cluster.apply(guest);
    await cluster.waitFor("shop/guest", isReady);
    assert.equal(await cluster.podIp("shop/guest"), "10.250.0.2");
    await fetch("http://10.250.0.2:8080/");
    await fetch("http://[fd00:250::2]:8080/");
    const back = await cluster.exec("shop/guest", ["curl", "-sS", "-m3", "http://web/"]);
    assert.equal(back.code, 0, back.stderr);
    await cluster.delete("Node", "node3");
    await cluster.waitFor("shop/guest", (pod) => pod.status?.phase === "Pending");
    assert.deepEqual(
      (await cluster.list("Node")).map(({ metadata }) => metadata.name),
      ["node1", "node2"],
    );
  });

  test("gives the address that an annotation asks for", async () => {
    const annotated = (name: string) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name,
        namespace: "shop",
        annotations: { "cni.projectcalico.org/ipAddrs": '["10.244.1.77"]' },
      },
      spec: {
        nodeName: "node1",
        terminationGracePeriodSeconds: 0,
        containers: [{ name: "c", image: "busybox", command: ["sleep", "infinity"] }],
      },
    });
    await cluster.apply(annotated("first"));
    await cluster.waitFor("shop/first", isReady);
    await cluster.delete("Pod", "shop/first");
    await cluster.apply(annotated("second"));
    await cluster.waitFor("shop/second", isReady);
    assert.equal(await cluster.podIp("shop/second"), "10.244.1.77");
    const { code } = await cluster.inNodeNetns("node1", ["ping", "-c1", "-W2", "10.244.1.77"]);
    if (code !== 127) assert.equal(code, 0, "neighbours reach the new owner at once");
  });
});
