/** A real cluster without the mesh: nodes, pods, services, names, probes, and edits while it runs. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isReady } from "#meshctl/local/endpoints.ts";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";

const SERVER = `
const http = require("node:http");
const answer = (q, r) => r.end(JSON.stringify({ pod: process.env.POD, peer: q.socket.remoteAddress }));
http.createServer(answer).listen(8080, "::");
`;

const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: server, namespace: shop}
data: {server.js: ${JSON.stringify(SERVER)}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: node:26
        command: [node, /app/server.js]
        ports: [{name: http, containerPort: 8080}]
        env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        readinessProbe: {httpGet: {path: /, port: http}}
        volumeMounts: [{name: app, mountPath: /app}]
      volumes: [{name: app, configMap: {name: server}}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  ipFamilyPolicy: PreferDualStack
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: v1
kind: Service
metadata: {name: web-pods, namespace: shop}
spec:
  clusterIP: None
  ipFamilyPolicy: PreferDualStack
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: v1
kind: Service
metadata: {name: nobody, namespace: shop}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop}
spec: {nodeName: node1, containers: [{name: c, image: curlimages/curl, command: [sleep, infinity]}]}
`;

interface Answer {
  readonly pod: string;
  readonly peer: string;
}

describe("a cluster without the mesh", () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startCluster({ mesh: false, objects: [OBJECTS] });
  });
  after(() => cluster.stop());

  const fetch = async (url: string, ...options: string[]): Promise<Answer> => {
    const argv = ["curl", "-sS", "--max-time", "3", ...options, url];
    const { code, stdout, stderr } = await cluster.exec("shop/client", argv);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };

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
      assert.equal((JSON.parse(stdout || "{}") as Answer).peer, peer, stderr);
    }
  });

  test("lets a pod reach itself through its service", async () => {
    const pods = await cluster.podsOf("shop/web");
    for (const { metadata } of pods) {
      const self = `${metadata.namespace}/${metadata.name}`;
      const seen = new Set<string>();
      for (let i = 0; i < 40 && seen.size < 2; i++) {
        const { stdout, stderr } = await cluster.exec(self, ["curl", "-sS", "-m3", "http://web/"]);
        seen.add((JSON.parse(stdout || "{}") as Answer).pod);
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
    assert.ok(Date.now() - begun < 2000, "the answer comes at once");
  });

  test("answers DNS over TCP", async () => {
    const script = `
      const net = require("node:net");
      const { Resolver } = require("node:dns").promises;
      const name = ["web", "shop", "svc", "cluster", "local"];
      const q = Buffer.concat([Buffer.from("abcd01000001000000000000", "hex"),
        ...name.map((l) => Buffer.from(String.fromCharCode(l.length) + l)), Buffer.from("0000010001", "hex")]);
      const s = net.connect(53, "10.96.0.10", () => s.write(Buffer.concat([Buffer.from([0, q.length]), q])));
      s.on("data", (d) => { console.log(d.subarray(-4).join(".")); s.destroy(); });`;
    const { stdout, stderr } = await cluster.exec("shop/client", ["node", "-e", script]);
    const service = await cluster.find("Service", "shop/web");
    // The last record of the answer is the address.
    assert.equal(stdout.trim(), service?.spec.clusterIP, stderr);
  });

  test("gives pods their own files, host name, process numbers and root", async () => {
    const write =
      "echo mine > /etc/ambient-test && hostname && cat /etc/hosts && echo $$ && ls /run";
    const { stdout } = await cluster.exec("shop/client", ["sh", "-c", write]);
    assert.match(stdout, /^client\n/);
    assert.match(stdout, /10\.244\.1\.\d+ client/);
    const other = await cluster.exec("shop/web", ["cat", "/etc/ambient-test"]);
    assert.notEqual(other.code, 0, "one pod does not see another one's files");
    const machine = await cluster.inNodeNetns("node1", ["cat", "/etc/ambient-test"]);
    assert.notEqual(machine.code, 0, "the machine does not see them either");
  });

  test("passes on input, output and the exit status of a command", async () => {
    const argv = ["sh", "-c", "cat; echo problem >&2; exit 7"];
    const result = await cluster.exec("shop/client", argv, { stdin: "words" });
    assert.deepEqual(result, { code: 7, stdout: "words", stderr: "problem\n" });
  });

  test("makes a pod ready only when its probe succeeds, seen from the node's address", async () => {
    const server = `
      let ok = false, peers = new Set();
      require("node:http").createServer((q, r) => {
        if (q.url === "/ok") ok = true;
        if (q.url === "/broken") ok = false;
        if (q.url === "/healthz") peers.add(q.socket.remoteAddress);
        r.statusCode = q.url === "/healthz" && !ok ? 503 : 200;
        r.end([...peers].join());
      }).listen(8080, "::");`;
    await cluster.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "probed", namespace: "shop", labels: { app: "probed" } },
      spec: {
        nodeName: "node2",
        containers: [
          {
            name: "c",
            image: "node",
            command: ["node", "-e", server],
            readinessProbe: {
              httpGet: { path: "/healthz", port: 8080 },
              periodSeconds: 1,
              failureThreshold: 1,
            },
          },
        ],
      },
    });
    await cluster.waitFor("shop/probed", (pod) => pod.status?.phase === "Running");
    const url = async (path: string) => `http://${await cluster.podIp("shop/probed")}:8080${path}`;
    const curl = async (path: string) =>
      cluster.exec("shop/client", [
        "curl",
        "-sS",
        "-m3",
        "--retry-connrefused",
        "--retry",
        "9",
        await url(path),
      ]);
    await curl("/");
    assert.equal(isReady(await cluster.pod("shop/probed")), false);
    await curl("/ok");
    await cluster.waitFor("shop/probed", isReady);
    assert.equal((await curl("/peers")).stdout, "::ffff:172.18.0.3", "the address of node2");
    await curl("/broken");
    await cluster.waitFor("shop/probed", (pod) => !isReady(pod));
  });

  test("restarts a container whose liveness probe fails, and keeps the log of the run before", async () => {
    await cluster.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "sick", namespace: "shop" },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: "c",
            image: "busybox",
            command: ["sh", "-c", "echo run $(cat /proc/sys/kernel/random/uuid); sleep infinity"],
            livenessProbe: {
              exec: { command: ["test", "-e", "/healthy"] },
              periodSeconds: 1,
              failureThreshold: 1,
            },
          },
        ],
      },
    });
    const restarts = async () => {
      const { status } = (await cluster.pod("shop/sick")) as {
        status?: { containerStatuses?: { restartCount: number }[] };
      };
      return status?.containerStatuses?.[0]?.restartCount ?? 0;
    };
    await cluster.until("the container was restarted", async () => (await restarts()) > 0);
    await cluster.exec("shop/sick", ["touch", "/healthy"]);
    assert.match(await cluster.logs("shop/sick"), /^run .*\n$/);
  });

  test("reports an image that it has no program for, and runs the rest", async () => {
    await cluster.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "odd", namespace: "shop" },
      spec: { containers: [{ name: "c", image: "example.com/odd:1" }] },
    });
    await cluster.waitFor("shop/odd", (pod) => {
      const ready = pod.status?.conditions?.find((condition) => condition.type === "Ready");
      return /ErrImagePull image example\.com\/odd:1 has no counterpart/.test(ready?.message ?? "");
    });
    await fetch("http://web/");
  });

  test("scales a Deployment up and down, and replaces its pods when the template changes", async () => {
    const deployment = await cluster.find("Deployment", "shop/web");
    const spec = deployment?.spec;
    assert.ok(deployment && spec);
    const plain = { ...deployment, metadata: { name: "web", namespace: "shop" } };
    const old = (await cluster.podsOf("shop/web")).map((pod) => pod.metadata.name);
    await cluster.apply({ ...plain, spec: { ...spec, replicas: 3 } });
    await cluster.until("there are three ready pods", async () => {
      return (await cluster.podsOf("shop/web")).filter(isReady).length === 3;
    });
    await cluster.apply({ ...plain, spec: { ...spec, replicas: 1 } });
    await cluster.until("there is one pod", async () => {
      return (await cluster.podsOf("shop/web")).length === 1;
    });
    const [survivor] = await cluster.podsOf("shop/web");
    assert.ok(old.includes(survivor?.metadata.name ?? ""), "the youngest go first");
    const template = { ...spec.template, metadata: { labels: { app: "web", version: "2" } } };
    await cluster.apply({ ...plain, spec: { ...spec, replicas: 2, template } });
    await cluster.until("there are two pods of the new template", async () => {
      const pods = (await cluster.list("Pod", "shop")).filter(
        (p) => p.metadata.labels?.app === "web",
      );
      return (
        pods.length === 2 && pods.every((p) => p.metadata.labels?.version === "2" && isReady(p))
      );
    });
    await fetch("http://web/");
  });

  test("replaces a deleted pod of a Deployment, and leaves a deleted pod of the folder deleted", async () => {
    const [victim] = await cluster.podsOf("shop/web");
    await cluster.deletePod(`shop/${victim?.metadata.name}`);
    await cluster.until("there are two ready pods again", async () => {
      return (await cluster.podsOf("shop/web")).filter(isReady).length === 2;
    });
    await cluster.apply(podText("lonely", "one"));
    await cluster.waitFor("shop/lonely", isReady);
    await cluster.deletePod("shop/lonely");
    await cluster.client.refresh();
    assert.equal(await cluster.find("Pod", "shop/lonely"), undefined);
    await cluster.apply(podText("lonely", "two"));
    await cluster.waitFor("shop/lonely", isReady);
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

  test("starts a pod when its ConfigMap comes, and shows it later changes of it", async () => {
    const config = (word: string) => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "late", namespace: "shop" },
      data: { word },
    });
    await cluster.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "reader", namespace: "shop" },
      spec: {
        containers: [
          {
            name: "c",
            image: "busybox",
            command: ["sleep", "infinity"],
            volumeMounts: [
              { name: "config", mountPath: "/etc/late" },
              { name: "scratch", mountPath: "/scratch" },
            ],
          },
        ],
        volumes: [
          { name: "config", configMap: { name: "late" } },
          { name: "scratch", emptyDir: {} },
        ],
      },
    });
    await cluster.waitFor("shop/reader", (pod) => {
      return /ConfigMap late does not exist/.test(pod.status?.message ?? "");
    });
    await cluster.apply(config("one"));
    await cluster.waitFor("shop/reader", isReady);
    const read = async () => (await cluster.exec("shop/reader", ["cat", "/etc/late/word"])).stdout;
    assert.equal(await read(), "one");
    await cluster.apply(config("two"));
    await cluster.until("the pod sees the change", async () => (await read()) === "two");
    const touch = await cluster.exec("shop/reader", ["touch", "/scratch/file"]);
    assert.equal(touch.code, 0, touch.stderr);
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

function podText(name: string, version: string): string {
  return `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {version: ${version}}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: busybox, command: [sleep, infinity]}]
`;
}
