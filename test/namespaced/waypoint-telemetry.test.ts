/** What people see of requests through a waypoint: its log, its metrics, traces that go on. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WaypointMesh } from "#test/support/waypoint-mesh.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;

describe("requests through a waypoint", () => {
  let mesh: WaypointMesh;
  let pod: string;

  before(async () => {
    mesh = await WaypointMesh.start();
    [pod = ""] = await mesh.waypoints();
  });
  after(() => mesh?.stop());

  const logged = async (wanted: RegExp) => {
    let lines: readonly string[] = [];
    await mesh.cluster.until(`the waypoint has logged ${wanted}`, async () => {
      const log = await mesh.cluster.logs(`shop/${pod}`);
      lines = log.split("\n").filter((line) => wanted.test(line));
      return lines.length > 0;
    });
    return lines;
  };
  const metrics = async () => {
    const argv = ["curl", "-sS", "http://localhost:15020/metrics"];
    return (await mesh.cluster.exec(`shop/${pod}`, argv)).stdout;
  };

  test("are logged as Istio's proxies log them", async () => {
    await mesh.curl("http://api.shop/status/418?q=1");
    const [line = ""] = await logged(/\/status\/418/);
    assert.match(line, /"GET \/status\/418\?q=1 HTTP\/1\.1" 418 /);
    assert.match(line, /outbound|inbound-vip/);
  });

  test("are counted by who asked whom, and what was answered", async () => {
    await mesh.curl("http://api.shop/status/404");
    await mesh.cluster.until("the request is counted", async () => {
      const counted = (await metrics())
        .split("\n")
        .filter((line) => /^istio_requests_total\{.*response_code="404"/.test(line));
      return counted.some(
        (line) =>
          /reporter="waypoint"/.test(line) &&
          /source_principal="spiffe:\/\/cluster.local\/ns\/web\/sa\/default"/.test(line) &&
          /destination_service="api.shop.svc.cluster.local"/.test(line) &&
          /destination_principal="spiffe:\/\/cluster.local\/ns\/shop\/sa\/default"/.test(line),
      );
    });
    const all = await metrics();
    for (const name of ["duration_milliseconds", "bytes"]) {
      assert.match(all, new RegExp(`^istio_request_${name}_bucket\\{.*reporter="waypoint"`, "m"));
    }
  });

  test("have no label that a client chooses", async () => {
    const url = "http://api.shop/status/410?[1-50]";
    await mesh.cluster.exec("web/client", ["curl", "-sS", "-H", "host: x.example", url]);
    const gone = /^istio_requests_total\{.*response_code="410".*\} (\d+)/gm;
    await mesh.cluster.until("they are counted", async () => {
      const counts = [...(await metrics()).matchAll(gone)].map(([, count]) => Number(count));
      return counts.reduce((sum, count) => sum + count, 0) === 50;
    });
    assert.doesNotMatch(await metrics(), /x\.example/);
  });

  test("keep the trace that they belong to", async () => {
    const options = ["-H", `traceparent: ${PARENT}`];
    const { headers } = await mesh.ask("http://api.shop/", { options });
    assert.match(headers.traceparent ?? "", new RegExp(`^00-${TRACE}-[0-9a-f]{16}-0[01]$`));
  });

  test("are not logged where a Telemetry says so", async () => {
    await mesh.cluster.apply(`
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: quiet, namespace: shop}
spec: {accessLogging: [{filter: {expression: "response.code >= 500"}}]}
`);
    let call = 0;
    await mesh.cluster.until("good answers are not logged", async () => {
      call++;
      await mesh.curl(`http://api.shop/status/200?call=${call}`);
      await mesh.curl(`http://api.shop/status/500?call=${call}`);
      await logged(new RegExp(`/status/500\\?call=${call} `));
      const log = await mesh.cluster.logs(`shop/${pod}`);
      return !log.includes(`/status/200?call=${call} `);
    });
  });
});
