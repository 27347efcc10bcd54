import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { objectPath } from "#common/kube-client/resources.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { makeGateway } from "#istiod-lite/registry/waypoints/waypoint-fixtures.ts";
import { waypointObjects } from "#istiod-lite/registry/waypoints/waypoint-objects.ts";
import { KubernetesOwnedObjects } from "./owned-objects.ts";
import { failure, WritableServerFixture } from "./writable-server-fixture.ts";

const OWNER = "Gateway/shop/waypoint";
const OPTIONS = { clusterId: "Kubernetes", trustDomain: "cluster.local", revision: "default" };
const pathOf = (kind: string, name = "waypoint"): string =>
  objectPath({ kind, namespace: "shop", name });

function rendered(parameters: Readonly<Record<string, string>> = {}) {
  const gateway = makeGateway();
  const owned = { ...gateway, metadata: { ...gateway.metadata, uid: "gateway-uid" } };
  const metadata = { name: "size", namespace: "shop" };
  const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata, data: parameters } as const;
  const made = waypointObjects(owned, [configMap], OPTIONS);
  assert.ok("objects" in made, "problem" in made ? made.problem : "");
  return made.objects;
}

async function start(t: TestContext) {
  const server = await WritableServerFixture.start(t);
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const logger = createLogger({ level: "info", format: "text", write });
  const writer = (fieldManager = "istiod-lite", client: KubeClient = server.client(t)) =>
    new KubernetesOwnedObjects({ client, logger, fieldManager });
  return { server, lines, writer };
}

const SCALED = {
  horizontalPodAutoscaler: "spec: {maxReplicas: 4}",
  podDisruptionBudget: "spec: {minAvailable: 1}",
};

describe("what a Gateway wants to run", () => {
  it("is applied with the Gateway as its owner, and fit for a cluster", async (t) => {
    const { server, writer } = await start(t);
    await writer().apply(OWNER, rendered(SCALED));
    const writes = server.takeWrites();
    const kinds = ["ServiceAccount", "Deployment", "Service", "HorizontalPodAutoscaler"];
    for (const kind of [...kinds, "PodDisruptionBudget"]) {
      assert.ok(writes.includes(`PATCH ${pathOf(kind)}`), kind);
      const [owner] = server.get(pathOf(kind))?.metadata.ownerReferences ?? [];
      assert.equal(owner?.uid, "gateway-uid", kind);
    }
    const text = JSON.stringify(server.get(pathOf("Deployment")));
    for (const part of [
      '"runAsNonRoot":true',
      '"readOnlyRootFilesystem":true',
      '"drop":["ALL"]',
      '"topologySpreadConstraints"',
      '"readinessProbe"',
      '"requests"',
    ]) {
      assert.ok(text.includes(part), part);
    }
  });

  it("is taken away, and nothing else, when it is wanted no more", async (t) => {
    const { server, writer } = await start(t);
    const objects = writer();
    await objects.apply(OWNER, rendered(SCALED));
    await objects.apply(OWNER, rendered());
    assert.equal(server.get(pathOf("HorizontalPodAutoscaler")), undefined);
    assert.equal(server.get(pathOf("PodDisruptionBudget")), undefined);
    assert.ok(server.get(pathOf("Deployment")));
    await objects.apply(OWNER, []);
    for (const kind of ["ServiceAccount", "Deployment", "Service"]) {
      assert.equal(server.get(pathOf(kind)), undefined, kind);
    }
  });

  it("leaves objects of somebody else alone, and says which once", async (t) => {
    const { server, lines, writer } = await start(t);
    const own = { name: "waypoint", namespace: "shop", labels: { app: "mine" } };
    for (const kind of ["ServiceAccount", "Deployment"]) {
      server.put(pathOf(kind), { kind, metadata: own });
    }
    const objects = writer();
    await objects.apply(OWNER, rendered());
    await objects.apply(OWNER, rendered());
    await objects.apply(OWNER, []);
    for (const kind of ["ServiceAccount", "Deployment"]) {
      assert.deepEqual(server.get(pathOf(kind))?.metadata.labels, { app: "mine" });
    }
    assert.equal(lines.filter((line) => line.includes("somebody else's")).length, 2);
  });

  it("takes over what an istiod of Istio made for the same Gateway", async (t) => {
    const { server, writer } = await start(t);
    const labels = { "gateway.istio.io/managed": "istio.io-mesh-controller" };
    const metadata = { name: "waypoint", namespace: "shop", labels };
    server.put(pathOf("Deployment"), { kind: "Deployment", metadata, spec: { replicas: 3 } });
    await writer().apply(OWNER, rendered());
    const { spec } = server.get(pathOf("Deployment")) as unknown as { spec: { replicas: number } };
    assert.equal(spec.replicas, 3);
    assert.match(JSON.stringify(spec), /istio-proxy/);
  });

  it("left behind while nobody looked is taken away, if this revision made it", async (t) => {
    const { server, writer } = await start(t);
    const { ownerReferences } = rendered()[0]?.metadata ?? {};
    const left = (name: string, manager: string, more = {}) => {
      const managedFields = [{ manager, operation: "Apply" }];
      const metadata = { name, namespace: "shop", ownerReferences, managedFields, ...more };
      server.put(pathOf("Service", name), { kind: "Service", metadata });
    };
    await writer().apply(OWNER, rendered(SCALED));
    left("gone", "istiod-lite", {
      ownerReferences: [{ apiVersion: "v1", kind: "Gateway", name: "gone", uid: "x" }],
    });
    left("other-revision", "istiod-lite-canary", {
      ownerReferences: [{ apiVersion: "v1", kind: "Gateway", name: "gone", uid: "x" }],
    });
    left("not-a-gateway's", "istiod-lite", { ownerReferences: [] });
    const next = writer();
    await next.keepOnly(new Set([OWNER]));
    assert.equal(server.get(pathOf("Service", "gone")), undefined);
    for (const name of ["waypoint", "other-revision", "not-a-gateway's"]) {
      assert.ok(server.get(pathOf("Service", name)), name);
    }
    // What the process before made, and this one does not want, is known as well.
    await next.apply(OWNER, rendered());
    assert.equal(server.get(pathOf("PodDisruptionBudget")), undefined);
  });

  it("is not another object that has come under the name of one that was made", async (t) => {
    const { server, writer } = await start(t);
    const objects = writer();
    await objects.apply(OWNER, rendered());
    const metadata = { name: "waypoint", namespace: "shop", uid: "somebody's" };
    server.put(pathOf("Service"), { kind: "Service", metadata });
    await objects.apply(OWNER, []);
    assert.equal(server.get(pathOf("Service"))?.metadata.uid, "somebody's");
  });

  it("fails with the API server's reason; in a namespace that is going it is let be", async (t) => {
    const { server, writer } = await start(t);
    const invalid = failure(422, "Invalid", "spec.maxReplicas: must be greater than 0");
    server.answer = ({ method }) => (method === "PATCH" ? invalid : undefined);
    await assert.rejects(writer().apply(OWNER, rendered()), { code: "OWNED_WRITE_FAILED" });
    const why = "unable to create new content in namespace shop because it is being terminated";
    const going = failure(403, "Forbidden", why);
    server.answer = ({ method }) => (method === "PATCH" ? going : undefined);
    await writer().apply(OWNER, rendered());
  });
});
