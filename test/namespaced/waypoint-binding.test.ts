/** Who goes through which waypoint, seen by the address that the application is called from. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WaypointMesh } from "#test/support/waypoint-mesh.ts";
import { untilServices } from "#test/support/ztunnel-view.ts";

function gateway(name: string, waypointFor: string, from: string): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: shop, labels: {istio.io/waypoint-for: ${waypointFor}}}
spec:
  gatewayClassName: istio-waypoint
  listeners:
  - {name: mesh, port: 15008, protocol: HBONE, allowedRoutes: {namespaces: {from: ${from}}}}
`;
}

function service(name: string, labels: string, annotations = "{}"): string {
  return `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop, labels: ${labels}, annotations: ${annotations}}
spec: {selector: {app: api}, ports: [{name: http, port: 80, targetPort: 8080}]}
`;
}

const USE = "istio.io/use-waypoint";

describe("traffic goes", () => {
  let mesh: WaypointMesh;

  before(async () => {
    mesh = await WaypointMesh.start();
  });
  after(() => mesh?.stop());

  /** Which pods the application was called from, as it saw them. */
  const callers = async (url: string, calls = 1) => {
    const argv = ["curl", "-sS", "--max-time", "5", "-w", "\n", `${url}?[1-${calls}]`];
    const { stdout } = await mesh.cluster.exec("web/client", argv, { timeoutMs: 60_000 });
    const peers = stdout.split("\n").flatMap((line) => /"peer":"([^"]+)"/.exec(line)?.[1] ?? []);
    return peers.map((peer) => peer.replace("::ffff:", ""));
  };
  const addressesOf = async (deployment: string) => {
    const pods = await mesh.cluster.podsOf(deployment);
    return pods.flatMap(({ status }) => status?.podIP ?? []);
  };
  /** Until the client's ztunnel knows a service, connections to it go past every waypoint. */
  const untilKnown = (...names: readonly string[]) =>
    untilServices(mesh.cluster, "node1", ...names.map((name) => `${name}.svc.cluster.local`));
  const clientAddress = async () => (await mesh.cluster.pod("web/client")).status?.podIP ?? "?";

  test("past a waypoint that it opted out of, with the client's own address", async () => {
    await mesh.cluster.apply(service("open", `{${USE}: none}`));
    await untilKnown("open.shop");
    const client = await clientAddress();
    await mesh.cluster.until("it goes direct", async () => {
      return (await callers("http://open.shop/")).includes(client);
    });
  });

  test("past a missing waypoint only where that was asked for", async () => {
    const annotations = "{ambient.istio.io/waypoint-unavailable: fail-open}";
    await mesh.cluster.apply(
      service("closed", `{${USE}: nowhere}`),
      service("opened", `{${USE}: nowhere}`, annotations),
    );
    await untilKnown("closed.shop", "opened.shop");
    const client = await clientAddress();
    await mesh.cluster.until("fail-open is open", async () => {
      return (await callers("http://opened.shop/")).includes(client);
    });
    assert.deepEqual(await callers("http://closed.shop/"), []);
  });

  test("to a pod's own waypoint, in another namespace that lets it in", async () => {
    await mesh.cluster.apply(gateway("shared", "all", "All"));
    const labels = `{app: solo, ${USE}: shared, istio.io/use-waypoint-namespace: shop}`;
    await mesh.cluster.apply(`
apiVersion: v1
kind: Pod
metadata: {name: solo, namespace: batch, labels: ${labels}}
spec:
  nodeName: node2
  containers:
  - {name: app, image: node:26, command: [node, ${mesh.appFile}, solo]}
`);
    await mesh.cluster.until(
      "the pod is asked by its waypoint",
      async () => {
        const ip = (await mesh.cluster.find("Pod", "batch/solo"))?.status?.podIP;
        if (ip === undefined) return false;
        const waypoints = await addressesOf("shop/shared");
        const [caller = ""] = await callers(`http://${ip}:8080/`);
        return waypoints.includes(caller);
      },
      { timeoutMs: 60_000 },
    );
  });

  test("not to a waypoint that does not let the namespace in", async () => {
    await mesh.cluster.apply(
      `
apiVersion: v1
kind: Service
metadata:
  name: stranger
  namespace: batch
  labels: {${USE}: waypoint, istio.io/use-waypoint-namespace: shop}
spec: {selector: {app: solo}, ports: [{name: http, port: 80, targetPort: 8080}]}
`,
    );
    await mesh.cluster.until("the service says that it was denied", async () => {
      const found = await mesh.cluster.find("Service", "batch/stranger");
      const { status } = { ...found } as {
        status?: { conditions?: readonly { reason?: string }[] };
      };
      const conditions = status?.conditions ?? [];
      return conditions.some(({ reason }) => reason === "AttachmentDenied");
    });
    await untilKnown("stranger.batch");
    assert.deepEqual(await callers("http://stranger.batch/"), []);
  });

  test("to a canary of the waypoint by its share", async () => {
    await mesh.cluster.apply(
      service(
        "halved",
        `{${USE}: waypoint, istio.io/use-waypoint-canary: shared}`,
        '{istio.io/use-waypoint-canary-weight: "50"}',
      ),
    );
    const [first, second] = [await addressesOf("shop/waypoint"), await addressesOf("shop/shared")];
    await mesh.cluster.until("both are gone through", async () => {
      const argv = "for i in $(seq 30); do curl -sS --max-time 5 http://halved.shop/; echo; done";
      const { stdout } = await mesh.cluster.exec("web/client", ["sh", "-c", argv], {
        timeoutMs: 60_000,
      });
      const seen = (addresses: readonly string[]) =>
        addresses.some((address) => stdout.includes(`${address}"`));
      return seen(first) && seen(second);
    });
  });
});
