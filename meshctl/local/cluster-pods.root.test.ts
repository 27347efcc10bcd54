/** A real cluster without the mesh: what pods have, how they are probed, restarted and replaced. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";
import { fetchWeb, WEB_PODS, type WebAnswer } from "#test/support/web-pods.ts";

describe("the pods of a cluster", () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startCluster({ mesh: false, objects: [WEB_PODS] });
  });
  after(() => cluster.stop());

  const fetch = (url: string, ...options: string[]): Promise<WebAnswer> =>
    fetchWeb(cluster, url, ...options);

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
    await cluster.until("the log is that of the new run", async () => {
      return /^run .*\n$/.test(await cluster.logs("shop/sick"));
    });
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
