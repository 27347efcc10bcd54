/** The programs that tests run in pods: servers that tell who they are, and clients. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { VERSION } from "#common/runtime/version.ts";
import { BUSYBOX_IMAGE } from "../harness/tools/test-images.ts";

/** It has a Node; test pods run scripts of their own with it. */
const NODE_IMAGE = `ambient-mesh:${VERSION}`;
const SCRIPTS = ["echo-server.ts", "load.ts"];
const ECHO_PORT = 8080;

export interface Workload {
  readonly namespace: string;
  readonly name: string;
  /** 1 unless given. */
  readonly replicas?: number;
  /** The node of all its pods; any unless given. */
  readonly node?: string;
  /** What its pods call themselves; "v1" unless given. */
  readonly version?: string;
  /** The service that it is part of; its own name unless given. */
  readonly app?: string;
}

/** A namespace with the scripts that pods in it run. */
export function namespaceWithScripts(name: string, labels: object = {}): object[] {
  const texts = SCRIPTS.map((file) => [
    file,
    readFileSync(join(import.meta.dirname, file), "utf8"),
  ]);
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } },
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "scripts", namespace: name },
      data: Object.fromEntries(texts),
    },
  ];
}

/** A Deployment with a service account of its name. */
export function echoDeployment(workload: Workload): object[] {
  const { version = "v1", app = workload.name } = workload;
  const command = ["node", "/scripts/echo-server.ts", String(ECHO_PORT), version];
  // On a machine that is busy an answer may take longer than the second that is usual.
  const often = { periodSeconds: 1, timeoutSeconds: 20 };
  const probe = { httpGet: { path: "/ready", port: ECHO_PORT }, ...often };
  const container = nodeContainer({ command, readinessProbe: probe });
  return deployment(workload, { app, version }, container);
}

/** A service in front of every pod of an app, port 80. */
export function echoService(namespace: string, name: string, labels: object = {}): object {
  const ports = [{ name: "http", port: 80, targetPort: ECHO_PORT, appProtocol: "http" }];
  const metadata = { name, namespace, labels };
  return { apiVersion: "v1", kind: "Service", metadata, spec: { selector: { app: name }, ports } };
}

/** Waits for commands: `node` and the scripts, nothing else. */
export function loadClient(workload: Workload): object[] {
  const sleep = ["node", "-e", "setInterval(() => {}, 1e9); process.on('SIGTERM', process.exit)"];
  return deployment(workload, { app: workload.name }, nodeContainer({ command: sleep }));
}

/** Waits for commands: a shell, curl, nc. */
export function shellClient(workload: Workload): object[] {
  const container = { name: "app", image: BUSYBOX_IMAGE, command: ["sleep", "1000000"] };
  return deployment(workload, { app: workload.name }, container);
}

function nodeContainer(more: object): object {
  return {
    name: "app",
    image: NODE_IMAGE,
    imagePullPolicy: "IfNotPresent",
    volumeMounts: [{ name: "scripts", mountPath: "/scripts" }],
    ...more,
  };
}

function deployment(workload: Workload, labels: object, container: object): object[] {
  const { namespace, name, replicas = 1, node } = workload;
  const spec = {
    serviceAccountName: name,
    terminationGracePeriodSeconds: 5,
    ...(node === undefined ? {} : { nodeSelector: { "kubernetes.io/hostname": node } }),
    containers: [container],
    volumes: [{ name: "scripts", configMap: { name: "scripts", optional: true } }],
  };
  const selector = { ...labels, workload: name };
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name, namespace },
      spec: {
        replicas,
        selector: { matchLabels: selector },
        template: { metadata: { labels: selector }, spec },
      },
    },
  ];
}
