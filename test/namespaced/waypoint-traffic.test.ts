/** Traffic of pods through a waypoint: HTTP, servers that speak first, a waypoint replaced. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";
import { WEB_PODS } from "#test/support/web-pods.ts";

const START = { timeoutMs: 90_000 };
const USE = "istio.io/use-waypoint";

/** Greets on 2525 before anybody says a word, and gives back lines. */
const GREETER = `
const net = require("node:net");
net.createServer((socket) => {
  socket.write("220 ready\\n");
  socket.on("data", (data) => socket.write("echo " + data));
  socket.on("error", () => undefined);
}).listen(2525, "::");
`;

/**
 * Requests in rows, on connections that are kept and on new ones, until the file /tmp/stop exists;
 * then prints how many were answered and what went wrong with the others.
 */
const LOAD = `
const http = require("node:http");
const fs = require("node:fs");
let answered = 0;
const failed = {};
const agents = [...Array(6)].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
const once = (agent) => new Promise((resolve) => {
  const fail = (error) => {
    const why = error.code ?? error.message ?? error;
    failed[why] = (failed[why] ?? 0) + 1;
    resolve();
  };
  const request = http.get("http://web.shop/", { agent, timeout: 15000 }, (response) => {
    if (response.statusCode !== 200) fail("status " + response.statusCode);
    else answered++;
    response.on("error", fail).on("end", resolve).resume();
  });
  request.on("timeout", () => request.destroy(new Error("timed out"))).on("error", fail);
});
const row = async (agent) => {
  while (!fs.existsSync("/tmp/stop")) {
    await once(agent);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};
Promise.all([...agents, false, false, false].map(row)).then(() => {
  console.log(JSON.stringify({ answered, failed }));
});
`;

/** Says hello once it has been greeted. */
const MAIL = `
const socket = require("node:net").connect(25, "mail.shop");
socket.once("data", () => socket.write("hello\\n"));
socket.on("data", (data) => process.stdout.write(data, () => {
  if (String(data).includes("hello")) socket.end();
}));
`;

const PODS = `
apiVersion: v1
kind: ConfigMap
metadata: {name: scripts, namespace: shop}
data:
  greeter.js: ${JSON.stringify(GREETER)}
  load.js: ${JSON.stringify(LOAD)}
---
apiVersion: v1
kind: Pod
metadata: {name: mail, namespace: shop, labels: {app: mail}}
spec:
  nodeName: node2
  containers:
  - name: c
    image: node:26
    command: [node, /app/greeter.js]
    volumeMounts: [{name: app, mountPath: /app}]
  volumes: [{name: app, configMap: {name: scripts}}]
---
apiVersion: v1
kind: Service
metadata: {name: mail, namespace: shop, labels: {${USE}: waypoint}}
spec: {selector: {app: mail}, ports: [{port: 25, targetPort: 2525}]}
---
apiVersion: v1
kind: Pod
metadata: {name: load, namespace: shop}
spec:
  nodeName: node1
  containers:
  - name: c
    image: node:26
    command: [sleep, infinity]
    volumeMounts: [{name: app, mountPath: /app}]
  volumes: [{name: app, configMap: {name: scripts}}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {${USE}: waypoint}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
`;

/** A change of the template has the pods replaced. */
const GATEWAY = (generation: number, replicas: number) => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
  infrastructure:
    annotations: {example.com/generation: "${generation}"}
    parametersRef: {group: '', kind: ConfigMap, name: size}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: size, namespace: shop}
data: {deployment: "spec: {replicas: ${replicas}}"}
`;

describe("pods behind a waypoint", () => {
  let cluster: TestCluster;
  before(async () => {
    const enrolled = WEB_PODS.replace("{name: shop}", () => {
      return "{name: shop, labels: {istio.io/dataplane-mode: ambient}}";
    });
    cluster = await startCluster({ objects: [enrolled] });
    await cluster.apply(PODS, GATEWAY(1, 1));
    await cluster.until("requests are answered", async () => (await curl()).code === 0, START);
  });
  after(() => cluster?.stop());

  const curl = (...more: string[]) =>
    cluster.exec("shop/client", [
      ...["curl", "-sS", "--fail", "--max-time", "3", ...more, "http://web.shop/"],
    ]);
  const names = async () =>
    (await cluster.podsOf("shop/waypoint")).map(({ metadata }) => metadata.name).sort();

  test("are asked by HTTP/1.1 and HTTP/2, on connections that are kept", async () => {
    const twice = await curl("http://web.shop/", "--verbose");
    assert.match(twice.stderr, /Re-using existing|Reusing existing/i);
    assert.equal(twice.stdout.match(/"pod"/g)?.length, 2);
    const http2 = await curl("--http2-prior-knowledge", "--verbose");
    assert.match(http2.stderr, /HTTP\/2 200/);
    assert.match(http2.stdout, /"pod"/);
  });

  test("may speak first, where their port does not say what it carries", async () => {
    const { stdout, stderr } = await cluster.exec("shop/load", ["node", "-e", MAIL]);
    assert.equal(stdout, "220 ready\necho hello\n", stderr);
  });

  test("are reached without a failed request while the waypoint is scaled and replaced", async () => {
    const load = await cluster.spawn("shop/load", ["node", "/app/load.js"]);
    let printed = "";
    load.stdout.on("data", (chunk: Buffer) => {
      printed += chunk;
    });
    const before = await names();
    await cluster.apply(GATEWAY(1, 2));
    await cluster.until("there are two", async () => (await names()).length === 2, START);
    await cluster.apply(GATEWAY(2, 2));
    await cluster.until(
      "both are others",
      async () => {
        const now = await names();
        return now.length === 2 && !now.some((name) => before.includes(name));
      },
      START,
    );
    await cluster.apply(GATEWAY(2, 1));
    await cluster.until("one is left", async () => (await names()).length === 1, START);
    await cluster.exec("shop/load", ["touch", "/tmp/stop"]);
    await cluster.until("the load has ended", async () => printed.includes("\n"), START);
    const { answered, failed } = JSON.parse(printed);
    assert.deepEqual(failed, {});
    assert.ok(answered > 500, `${answered}`);
  });
});
