/** A VirtualService from pod to pod: routes by the caller, rewrites, redirects, and its status. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WaypointMesh } from "#test/support/waypoint-mesh.ts";

const RULE = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: shop}
spec:
  host: api
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
`;

const V1 = "route: [{destination: {host: api, subset: v1}}]";
const V2 = "route: [{destination: {host: api, subset: v2}}]";

const SERVICE = `
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec:
  hosts: [api]
  http:
  - match: [{uri: {prefix: /who}, sourceNamespace: batch}]
    ${V2}
  - match: [{uri: {prefix: /label}, sourceLabels: {role: tester}}]
    ${V2}
  - match: [{uri: {prefix: /old/}}]
    rewrite: {uri: /new/, authority: new.example}
    headers: {response: {set: {x-answer: b}}}
    ${V1}
  - match: [{uri: {exact: /moved}}]
    redirect: {uri: /there, authority: there.example}
  - match: [{uri: {exact: /closed}}]
    directResponse: {status: 418, body: {string: closed}}
  - match: [{uri: {exact: /nowhere}}]
    route: [{destination: {host: gone}}]
  - ${V1}
`;

/** A client that comes when the routes are there already. */
const TESTER = `
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: qa, labels: {role: tester}}
spec: {nodeName: node1, containers: [{name: c, image: curlimages/curl, command: [sleep, infinity]}]}
`;
const QA = `
apiVersion: v1
kind: Namespace
metadata: {name: qa, labels: {istio.io/dataplane-mode: ambient}}
`;

describe("a VirtualService at a waypoint", () => {
  let mesh: WaypointMesh;

  before(async () => {
    mesh = await WaypointMesh.start([QA]);
    await mesh.cluster.apply(RULE);
    await mesh.cluster.apply(SERVICE);
    await mesh.until("it is in force", "http://api.shop/closed", ({ status }) => status === 418);
  });
  after(() => mesh?.stop());

  const nameOf = async (path: string, from = "web") =>
    (await mesh.ask(`http://api.shop${path}`, { from })).name;

  test("goes by who asks: the namespace, and the labels of a pod that came later", async () => {
    assert.equal(await nameOf("/who", "batch"), "api-v2");
    assert.equal(await nameOf("/who"), "api-v1");
    assert.equal(await nameOf("/label"), "api-v1");
    await mesh.cluster.apply(TESTER);
    await mesh.until(
      "the tester is known",
      "http://api.shop/label",
      ({ body }) => body.includes("api-v2"),
      { from: "qa" },
    );
  });

  test("rewrites and redirects, and answers with 500 for what leads nowhere", async () => {
    const { body, headers } = await mesh.curl("http://api.shop/old/a?b=c");
    const { url, headers: sent } = JSON.parse(body) as { url: string; headers: { host: string } };
    assert.deepEqual([url, sent.host], ["/new/a?b=c", "new.example"]);
    assert.equal(headers.get("x-answer"), "b");
    const moved = await mesh.curl("http://api.shop/moved");
    assert.equal(moved.status, 301);
    assert.equal(moved.headers.get("location"), "http://there.example/there");
    assert.equal((await mesh.curl("http://api.shop/nowhere")).status, 500);
  });

  test("is told in its status what of it is not in force", async () => {
    await mesh.cluster.until("the status says so", async () => {
      const object = await mesh.cluster.find("VirtualService", "shop/api");
      const { reason, message = "" } = object?.status?.conditions?.[0] ?? {};
      return reason === "PartlyInForce" && /http\[5\].*there is no host gone\.shop/.test(message);
    });
  });
});
