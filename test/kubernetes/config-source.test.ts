/** The source of configuration against a real API server, and what befalls it. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { applyObject, deleteObject } from "#common/kube-client/apply.ts";
import { connectInCluster } from "#common/kube-client/in-cluster.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { KubernetesSource } from "#istiod-lite/config/kubernetes/watch/kubernetes-source.ts";
import { policy, shop } from "#istiod-lite/config/source-fixture.ts";
import { type KubernetesCluster, startKubernetes } from "./harness/cluster.ts";
import { ETCD_URL } from "./harness/control-plane-programs.ts";
import { waitFor } from "./harness/wait-for.ts";
import { DEFINITIONS, permissiveDefinitions } from "./permissive-definitions.ts";

const MANAGER = "config-source-test";
const NO_TOKEN = { automountServiceAccountToken: false };

let cluster: KubernetesCluster;
before(async () => {
  cluster = await startKubernetes();
  for (const definition of permissiveDefinitions()) await put(definition);
  await put(shop);
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: named("default") };
  await put(account);
});
after(() => cluster?.stop());

function named(name: string): { readonly name: string; readonly namespace: string } {
  return { name, namespace: "shop" };
}

/** Once its definition is established. */
function put(object: Parameters<typeof applyObject>[1]): Promise<unknown> {
  return waitFor(`the server to take ${object.metadata.name}`, () =>
    applyObject(cluster.client, object, MANAGER).catch((error: { status: number }) => {
      if (error.status === 404) return undefined;
      throw error;
    }),
  );
}

function pod(name: string): Parameters<typeof applyObject>[1] {
  const containers = [{ name: "app", image: "app", ports: [{ containerPort: 8080 }] }];
  const metadata = { ...named(name), labels: { app: "web" } };
  return { apiVersion: "v1", kind: "Pod", metadata, ...{ spec: { containers, ...NO_TOKEN } } };
}

async function giveAddress(name: string, podIP: string): Promise<void> {
  await cluster.client.request({
    method: "PATCH",
    path: `/api/v1/namespaces/shop/pods/${name}/status`,
    contentType: "application/merge-patch+json",
    body: { status: { podIP, podIPs: [{ ip: podIP }] } },
  });
}

/** A service without a selector, and its endpoint. */
function serviceWithSlice(): readonly Parameters<typeof applyObject>[1][] {
  const ports = [{ name: "http", port: 80 }];
  const labels = { "kubernetes.io/service-name": "web" };
  const endpoints = [{ addresses: ["192.0.2.1"], conditions: { ready: true } }];
  const service = { apiVersion: "v1", kind: "Service", metadata: named("web"), spec: { ports } };
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { ...named("web-1"), labels },
    ...{ addressType: "IPv4", endpoints, ports },
  };
  return [service, slice];
}

async function follow(t: TestContext, client: KubeClient = cluster.client) {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const source = new KubernetesSource({
    client,
    logger: createLogger({ level: "info", format: "text", write }),
  });
  t.after(() => source.close());
  const state = new Map<string, KubernetesObject>();
  const started = source.start((changes) => {
    for (const { key, object } of changes) {
      if (object === undefined) state.delete(key);
      else state.set(key, object);
    }
  });
  const until = (what: string, look: () => boolean) => waitFor(what, look, { everyMs: 10 });
  const said = (pattern: RegExp): number => lines.filter((line) => pattern.test(line)).length;
  return { source, state, started, until, said, lines };
}

describe("a source of a real API server", () => {
  test("sees pods, services, slices and policies come, change and go", async (t) => {
    const { started, state, until, lines } = await follow(t);
    await started;
    for (const key of ["Namespace//shop", "Namespace//kube-system", "Service/default/kubernetes"]) {
      assert.ok(state.has(key), key);
    }
    await put(pod("a"));
    await put(policy("p"));
    for (const object of serviceWithSlice()) await put(object);
    const keys = ["Pod/shop/a", "AuthorizationPolicy/shop/p", "Service/shop/web"];
    await until("them all", () =>
      [...keys, "EndpointSlice/shop/web-1"].every((key) => state.has(key)),
    );
    const {
      apiVersion,
      kind,
      spec: podSpec,
      status,
    } = state.get("Pod/shop/a") as never as Record<string, unknown>;
    assert.deepEqual(
      { apiVersion, kind, status },
      {
        apiVersion: "v1",
        kind: "Pod",
        status: { phase: "Pending" },
      },
    );
    assert.deepEqual(podSpec, {
      serviceAccountName: "default",
      containers: [
        { name: "app", image: "app", ports: [{ containerPort: 8080, protocol: "TCP" }] },
      ],
    });
    await giveAddress("a", "10.0.0.9");
    await until("the address", () => JSON.stringify(state.get("Pod/shop/a")).includes("10.0.0.9"));
    await deleteObject(cluster.client, { kind: "AuthorizationPolicy", ...named("p") });
    await until("the policy to go", () => !state.has("AuthorizationPolicy/shop/p"));
    assert.deepEqual(lines, []);
  });

  test("goes on after the server was killed, and lists again what etcd has forgotten", async (t) => {
    const { started, state, until, source } = await follow(t);
    await started;
    await put(pod("stays"));
    await put(pod("goes"));
    await until("both", () => state.has("Pod/shop/stays") && state.has("Pod/shop/goes"));
    const { apiServer } = cluster.controlPlane;
    await apiServer.stop("SIGKILL");
    const key = Buffer.from("/registry/pods/shop/goes").toString("base64");
    const deleted = (await etcd("deleterange", { key })) as { header: { revision: string } };
    await etcd("compaction", { revision: deleted.header.revision, physical: true });
    apiServer.start();
    await until("a deletion that nobody told of", () => !state.has("Pod/shop/goes"));
    assert.ok(source.lists.get("Pod/expired") !== undefined);
    await put(pod("later"));
    await until("a pod that came after the restart", () => state.has("Pod/shop/later"));
    assert.equal(source.loss, undefined);
    assert.ok(state.has("Pod/shop/stays"));
  });

  test("tells a missing definition from one that comes and goes", async (t) => {
    const [definition] = permissiveDefinitions().filter(({ metadata }) =>
      metadata.name.startsWith("telemetries."),
    );
    assert.ok(definition);
    const reference = { kind: "CustomResourceDefinition", name: definition.metadata.name };
    const gone = () =>
      waitFor("the definition to go", async () => {
        await deleteObject(cluster.client, reference);
        const answer = await cluster.client.request({ method: "GET", path: DEFINITIONS });
        return !JSON.stringify(answer).includes(`"${definition.metadata.name}"`);
      });
    await gone();
    const { started, state, until, lines } = await follow(t);
    await started;
    await put(definition);
    const telemetry = { apiVersion: "telemetry.istio.io/v1", kind: "Telemetry", spec: {} };
    await put({ ...telemetry, metadata: named("t") });
    await until("the object", () => state.has("Telemetry/shop/t"));
    await gone();
    await until("the object to go", () => !state.has("Telemetry/shop/t"));
    await put(definition);
    await put({ ...telemetry, metadata: named("again") });
    await until("the new object", () => state.has("Telemetry/shop/again"));
    assert.deepEqual(
      lines.filter((line) => /\terror\t/.test(line)),
      [],
    );
  });

  test("refuses what the server lets through, and keeps what was", async (t) => {
    const { started, state, until, source } = await follow(t);
    await put(policy("strict"));
    await started;
    await until("the policy", () => state.has("AuthorizationPolicy/shop/strict"));
    const good = state.get("AuthorizationPolicy/shop/strict");
    await put({ ...policy("strict"), spec: { rules: [{ form: [] }] } } as never);
    await until("the refusal", () => source.refusedCount === 1);
    assert.equal(state.get("AuthorizationPolicy/shop/strict"), good);
    await put(policy("strict"));
    await until("it to be fine again", () => source.refusedCount === 0);
  });
});

test("a pod's own token is read again, and what it may not read holds up the start", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "account-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const account = "/api/v1/namespaces/shop/serviceaccounts/default/token";
  const request = { method: "POST", path: account, body: { spec: { expirationSeconds: 600 } } };
  const token = (await cluster.client.request(request as never)) as { status: { token: string } };
  const { hostname, port } = new URL(cluster.client.server);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "token"), "not a token");
  writeFileSync(join(folder, "ca.crt"), await clusterCa());
  const env = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
  const client = connectInCluster({ env, folder });
  t.after(() => client.close());
  const denied = await follow(t, client);
  await denied.until("the refusal of the token", () => denied.said(/does not know/) > 0);
  writeFileSync(join(folder, "token"), token.status.token);
  const again = await follow(t, client);
  const why = () => [...again.source.unread.values()].map(({ reason }) => reason);
  await again.until("the refusal of what it may not", () => why().includes("Forbidden"));
  const told = () => again.said(/kind=Pod\b.*not allowed|not allowed.*kind=Pod\b/);
  await again.until("it to be told", () => told() > 0);
  assert.equal(told(), 1);
  assert.equal(again.state.size, 0);
});

/** By etcd's JSON gateway, from where the control plane is. */
async function etcd(operation: string, body: object): Promise<unknown> {
  const url = `${ETCD_URL}/v3/kv/${operation}`;
  const script = `fetch(${JSON.stringify(url)}, ${JSON.stringify({
    method: "POST",
    body: JSON.stringify(body),
  })}).then((answer) => answer.text()).then(console.log)`;
  const { namespaces } = cluster.controlPlane;
  const stdout = await namespaces.check([process.execPath, "-e", script]);
  return JSON.parse(stdout);
}

async function clusterCa(): Promise<string> {
  const map = (await cluster.client.request({
    method: "GET",
    path: "/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt",
  })) as { data: Record<string, string> };
  return map.data["ca.crt"] ?? "";
}
