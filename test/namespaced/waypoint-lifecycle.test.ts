/** A Gateway becomes running pods, and what uses it is led there: from applying to deleting it. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Condition } from "#common/kubernetes/objects.ts";
import { waitForRecord } from "#test/support/access-log.ts";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";
import { fetchWeb, WEB_PODS } from "#test/support/web-pods.ts";

const START = { timeoutMs: 60_000 };
const USE = "istio.io/use-waypoint";
const PARAMETERS = "infrastructure: {parametersRef: {group: '', kind: ConfigMap, name: size}}";
const GATEWAY = (replicas?: number) => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
  ${replicas === undefined ? "" : PARAMETERS}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: size, namespace: shop}
data: {deployment: "spec: {replicas: ${replicas ?? 1}}"}
`;
const SERVICE = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {${USE}: waypoint}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
`;

describe("a waypoint", () => {
  let cluster: TestCluster;

  before(async () => {
    const enrolled = WEB_PODS.replace("{name: shop}", () => {
      return "{name: shop, labels: {istio.io/dataplane-mode: ambient}}";
    });
    cluster = await startCluster({ objects: [enrolled] });
  });
  after(() => cluster?.stop());

  const reason = async (kind: "Gateway" | "Service", name: string, type: string) => {
    const object = await cluster.find(kind, name);
    const { status } = (object ?? {}) as {
      status?: { conditions?: readonly Condition[] };
    };
    return status?.conditions?.find((condition) => condition.type === type)?.reason;
  };

  const ready = async () => {
    const pods = await cluster.podsOf("shop/waypoint");
    const isReady = (condition: Condition) =>
      condition.type === "Ready" && condition.status === "True";
    return pods.filter(({ status }) => status?.conditions?.some(isReady));
  };

  const reached = async (url: string) => {
    const { code } = await cluster.exec("shop/client", ["curl", "-sS", "--max-time", "10", url]);
    return code === 0;
  };

  test("that is not there is not gone past: connections are refused, and the service says why", async () => {
    await cluster.apply(SERVICE);
    await cluster.until("the service says that its waypoint is missing", async () => {
      return (
        (await reason("Service", "shop/web", "istio.io/WaypointBound")) === "WaypointIsNotReady"
      );
    });
    await cluster.until("the client's ztunnel knows it too", async () => {
      return !(await reached("http://web.shop/"));
    });
    await waitForRecord(cluster, "node1", { direction: "outbound", error: /waypoint/ });
  });

  test("runs once it is applied, with its identity, and services are led through it", async () => {
    await cluster.apply(GATEWAY());
    await cluster.until(
      "the waypoint is programmed",
      async () => {
        return (await reason("Gateway", "shop/waypoint", "Programmed")) === "Programmed";
      },
      START,
    );
    const gateway = await cluster.find("Gateway", "shop/waypoint");
    assert.deepEqual(gateway?.status?.addresses, [
      { type: "Hostname", value: "waypoint.shop.svc.cluster.local" },
    ]);
    await cluster.until("the service says that it is bound", async () => {
      return (await reason("Service", "shop/web", "istio.io/WaypointBound")) === "WaypointAccepted";
    });
    const [pod] = await ready();
    assert.equal(pod?.spec.serviceAccountName, "waypoint");
    await cluster.until(
      "requests are answered through it",
      async () => {
        const { peer } = await fetchWeb(cluster, "http://web.shop/").catch(() => ({ peer: "" }));
        return peer.endsWith(pod?.status?.podIP ?? "?");
      },
      START,
    );
  });

  test("is enforced at the destination where the service says so, and only there", async () => {
    const direct = `http://${await cluster.podIp("shop/web")}:8080/`;
    assert.equal(await reached(direct), true);
    const annotations = "annotations: {ambient.istio.io/enforce-waypoint: 'true'}, labels:";
    await cluster.apply(SERVICE.replace("labels:", annotations));
    await cluster.until("the pod refuses what comes past the waypoint", async () => {
      return !(await reached(direct));
    });
    assert.equal(await reached("http://web.shop/"), true);
    await cluster.apply(SERVICE);
    await cluster.until("the pod is reached again", () => reached(direct));
  });

  test("is scaled by the parameters of its Gateway", async () => {
    await cluster.apply(GATEWAY(2));
    await cluster.until("two pods are ready", async () => (await ready()).length === 2, START);
    await cluster.apply(GATEWAY());
    await cluster.until(
      "one pod is left",
      async () => {
        return (await cluster.podsOf("shop/waypoint")).length === 1;
      },
      START,
    );
  });

  test("stops when its Gateway is deleted", async () => {
    await cluster.delete("Gateway", "shop/waypoint");
    await cluster.until(
      "its objects are gone",
      async () => {
        const left = [
          await cluster.find("Deployment", "shop/waypoint"),
          await cluster.find("Service", "shop/waypoint"),
          ...(await cluster.podsOf("shop/waypoint")),
        ];
        return left.every((each) => each === undefined);
      },
      START,
    );
    await cluster.until("the service says that its waypoint is missing", async () => {
      return (
        (await reason("Service", "shop/web", "istio.io/WaypointBound")) === "WaypointIsNotReady"
      );
    });
  });
});
