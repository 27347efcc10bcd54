/** A waypoint that is killed under load is not gone past, and requests pass again by themselves. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WaypointMesh } from "#test/support/waypoint-mesh.ts";
import { waypointProcess } from "#test/support/waypoint-process.ts";

const DENY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-debug, namespace: shop}
spec:
  targetRefs: [{kind: Service, group: "", name: api}]
  action: DENY
  rules: [{to: [{operation: {paths: ["/debug/*"]}}]}]
`;
const DEBUG = "http://api.shop/debug/x";
const LOAD = "http://api.shop/debug/load";

describe("a waypoint that is killed", () => {
  let mesh: WaypointMesh;
  before(async () => {
    mesh = await WaypointMesh.start();
    await mesh.cluster.apply(DENY);
    await mesh.until("the policy is in force", DEBUG, ({ status }) => status === 403);
  });
  after(() => mesh?.stop());

  test("lets nothing pass that its policies deny, and comes back by itself", async () => {
    const pid = await waypointProcess(mesh);
    const [pod = ""] = await mesh.waypoints();
    const load = mesh.talk(["load", LOAD, "8", "50"], 120_000);
    await mesh.cluster.until("the load is denied", async () =>
      (await mesh.cluster.logs(`shop/${pod}`)).includes("/debug/load"),
    );
    process.kill(pid, "SIGKILL");
    const outcomes = await load;
    assert.ok(Number(outcomes["403"]) > 0, JSON.stringify(outcomes));
    assert.equal(outcomes["200"], undefined, JSON.stringify(outcomes));
    await mesh.until("it serves again", "http://api.shop/", ({ status }) => status === 200);
    assert.equal((await mesh.curl(DEBUG)).status, 403);
  });

  test("while istiod-lite is down, too, goes on with what it knew", async () => {
    await mesh.cluster.istiod.kill("SIGKILL");
    assert.equal((await mesh.curl(DEBUG)).status, 403);
    assert.equal((await mesh.curl("http://api.shop/")).status, 200);
  });
});
