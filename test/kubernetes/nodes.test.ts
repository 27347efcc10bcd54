/** The harness itself: two nodes on which pods find and reach each other, and faults of a node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BUSYBOX_IMAGE } from "./harness/tools/test-images.ts";
import { useKubernetes } from "./harness/use-kubernetes.ts";
import { waitFor } from "./harness/wait-for.ts";

const SERVE = "mkdir -p /tmp/w; hostname >/tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w";

const LABELS = { app: "web" };

/** A web server on every node, and a service in front of them. */
const WEB = [
  {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name: "web", namespace: "default" },
    spec: {
      selector: { matchLabels: LABELS },
      template: {
        metadata: { labels: LABELS },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: "web",
              image: BUSYBOX_IMAGE,
              command: ["sh", "-c", SERVE],
              readinessProbe: {
                httpGet: { path: "/", port: 8080 },
                periodSeconds: 1,
                timeoutSeconds: 20,
              },
            },
          ],
        },
      },
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "default" },
    spec: { selector: LABELS, ports: [{ port: 80, targetPort: 8080 }] },
  },
];

const cluster = useKubernetes({ nodes: 2 }, async (started) => {
  await started.apply(...WEB);
  await started.rolledOut("default/ds/web");
});

async function podOn(node: string): Promise<string> {
  const args = ["get", "pods", "-l", "app=web", `--field-selector=spec.nodeName=${node}`];
  return `default/${await cluster().check([...args, "-o", "jsonpath={.items[0].metadata.name}"])}`;
}

/** The names of the pods that answer at a service's name, asked from one of them. */
async function answering(from: string): Promise<Set<string>> {
  const ask = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do curl -s -m 3 http://web/; done";
  const { stdout } = await cluster().exec(from, ["sh", "-c", ask]);
  return new Set(stdout.split("\n").filter(Boolean));
}

test("pods of both nodes answer at their service's name", async () => {
  for (const node of ["node1", "node2"]) {
    const from = await podOn(node);
    // The cluster's DNS and each kube-proxy hear of the service a moment later.
    await waitFor(`both to answer ${node}`, async () => (await answering(from)).size === 2);
  }
});

test("a node whose kubelet has stopped is not ready until it runs again", async () => {
  const status = () =>
    cluster().check(["get", "node", "node2", "-o", "jsonpath={.status.conditions[-1:].status}"]);
  await cluster().node(2).kubelet.stop();
  await waitFor("node2 to be lost", async () => (await status()) === "Unknown");
  cluster().node(2).kubelet.start();
  await waitFor("node2 to be back", async () => (await status()) === "True");
});

test("a rebooted node has new namespaces, and its pods answer again", async () => {
  const before = await cluster().node(2).run(["readlink", "/proc/self/ns/net"]);
  await cluster().node(2).reboot();
  const after = await cluster().node(2).run(["readlink", "/proc/self/ns/net"]);
  assert.notEqual(after.stdout, before.stdout);
  const from = await podOn("node1");
  await waitFor("both to answer", async () => (await answering(from)).size === 2);
});
