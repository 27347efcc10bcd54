/** A small cluster for tests of `meshctl up` itself: two web pods, their services, a client. */
import assert from "node:assert/strict";
import type { TestCluster } from "#test/support/cluster.ts";

const SERVER = `
const http = require("node:http");
const pod = process.env.POD;
const answer = (q, r) => r.end(JSON.stringify({ pod, peer: q.socket.remoteAddress }));
http.createServer(answer).listen(8080, "::");
`;

/**
 * Deployment shop/web (each pod on its own node), services web, web-pods and nobody, pod
 * shop/client.
 */
export const WEB_PODS = `
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

/** What a web pod answers. */
export interface WebAnswer {
  readonly pod: string;
  /** The address that the connection came from. */
  readonly peer: string;
}

/** Calls a web pod from the client pod; `options` are curl's. */
export async function fetchWeb(
  cluster: TestCluster,
  url: string,
  ...options: string[]
): Promise<WebAnswer> {
  const argv = ["curl", "-sS", "--max-time", "3", ...options, url];
  const { code, stdout, stderr } = await cluster.exec("shop/client", argv);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}
