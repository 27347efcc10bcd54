/** VirtualService and DestinationRule through the whole path, as people have them. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WaypointMesh } from "#test/support/waypoint-mesh.ts";

function destinationRule(spec: string, name = "api"): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}, namespace: shop}
spec:
  host: api
${spec}
`;
}

function virtualService(http: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec:
  hosts: [api]
  http:
${http}
`;
}

const SUBSETS = destinationRule(`  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}`);

const RULES = virtualService(`  - match: [{headers: {x-user: {exact: tester}}}]
    route: [{destination: {host: api, subset: v2}}]
  - match: [{uri: {prefix: /teapot}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
    route: [{destination: {host: api}}]
  - match: [{uri: {prefix: /late}}]
    fault: {delay: {fixedDelay: 300ms, percentage: {value: 100}}}
    route: [{destination: {host: api, subset: v1}}]
  - match: [{uri: {regex: "/item/[0-9]+"}}]
    rewrite: {uriRegexRewrite: {match: "/item/([0-9]+)", rewrite: "/thing/\\\\1"}}
    route: [{destination: {host: api, subset: v1}}]
  - match: [{uri: {exact: /gone}}]
    directResponse: {status: 410, body: {string: "gone for good"}}
  - match: [{sourceNamespace: batch}]
    route: [{destination: {host: api, subset: nowhere}}]
  - route: [{destination: {host: api, subset: v1}}]`);

describe("Istio's configuration at a waypoint", () => {
  let mesh: WaypointMesh;

  before(async () => {
    mesh = await WaypointMesh.start();
  });
  after(() => mesh?.stop());

  const names = async (path: string, calls: number, ...options: string[]) => {
    const url = `http://api.shop${path}?[1-${calls}]`;
    const argv = ["curl", "-sS", "-w", "\\n", ...options, url];
    const { stdout } = await mesh.cluster.exec("web/client", argv);
    return stdout.split("\n").flatMap((line) => /"name":"(api-v\d)"/.exec(line)?.[1] ?? []);
  };

  test("subsets, matches, faults, rewrites and answers of a VirtualService hold", async () => {
    await mesh.cluster.apply(SUBSETS, RULES);
    await mesh.until("the rules are in force", "http://api.shop/gone", (r) => r.status === 410);
    assert.deepEqual(new Set(await names("/", 20)), new Set(["api-v1"]));
    assert.deepEqual(new Set(await names("/", 20, "-H", "x-user: tester")), new Set(["api-v2"]));
    assert.equal((await mesh.curl("http://api.shop/teapot")).status, 418);
    assert.equal((await mesh.ask("http://api.shop/item/42")).url, "/thing/42");
    const options = ["-w", "\n%{time_starttransfer}"];
    const { body } = await mesh.curl("http://api.shop/late", { options });
    assert.ok(Number(body.split("\n").at(-1)) >= 0.3, body);
    const batch = await mesh.curl("http://api.shop/", { from: "batch" });
    assert.ok([500, 503].includes(batch.status), `${batch.status}`);
    await mesh.cluster.delete("VirtualService", "shop/api");
    await mesh.until("the rules are gone", "http://api.shop/gone", (r) => r.status === 200);
  });

  test("a hash of a header sends the same to the same, and others elsewhere", async () => {
    await mesh.cluster.apply(
      destinationRule(
        "  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}",
      ),
    );
    const of = async (user: string) => new Set(await names("/", 20, "-H", `x-user: ${user}`));
    await mesh.cluster.until("one user meets one endpoint", async () => (await of("a")).size === 1);
    const all = await Promise.all(Array.from({ length: 16 }, (_, i) => of(`user-${i}`)));
    assert.ok(all.every((each) => each.size === 1));
    assert.equal(new Set(all.flatMap((each) => [...each])).size, 2);
  });

  test("an endpoint that fails is left out for a while, and then tried again", async () => {
    await mesh.cluster.apply(
      destinationRule(`  trafficPolicy:
    outlierDetection:
      {consecutive5xxErrors: 3, interval: 200ms, baseEjectionTime: 2s, maxEjectionPercent: 50}`),
    );
    const failures = async () => {
      const argv = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} "];
      const url = "http://api.shop/fails/api-v1?[1-20]";
      const { stdout } = await mesh.cluster.exec("web/client", [...argv, url]);
      return stdout.split(" ").filter((status) => status === "503").length;
    };
    await mesh.cluster.until("it is ejected", async () => (await failures()) === 0);
    await mesh.cluster.until("it is tried again", async () => (await failures()) > 0);
    await mesh.cluster.until("it is ejected again", async () => (await failures()) === 0);
  });

  test("more requests than may wait are answered with 503, the others as asked", async () => {
    const limits = "{tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}";
    await mesh.cluster.apply(destinationRule(`  trafficPolicy: {connectionPool: ${limits}}`));
    const statuses = async () => {
      const argv = ["curl", "-sS", "-Z", "--parallel-immediate", "-o", "/dev/null"];
      const url = "http://api.shop/slow/300?[1-12]";
      const { stdout } = await mesh.cluster.exec("web/client", [
        ...[...argv, "-w", "%{http_code} ", url],
      ]);
      return new Set(stdout.trim().split(" "));
    };
    await mesh.cluster.until("some are turned away", async () => (await statuses()).has("503"));
    assert.ok((await statuses()).has("200"));
  });
});
