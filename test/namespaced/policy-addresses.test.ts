/** Verdicts about addresses that are written otherwise than policies write them. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { findRecords, waitForRecord } from "#test/support/access-log.ts";
import { readToEnd } from "#test/support/pod-sockets.ts";
import { CLIENTS, PORTS, PolicyMesh, SERVERS } from "#test/support/policy-mesh.ts";
import { allow, deny, peerAuthentication, rule } from "#test/support/policy-objects.ts";

const STRICT_POLICY = "istio-system/istio_converted_static_strict";

describe("an address", () => {
  let mesh: PolicyMesh;
  before(async () => {
    mesh = await PolicyMesh.start();
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  /** What a client is told that writes the server's IPv4 address in IPv6 notation. */
  async function answerByMappedAddress(client: keyof typeof CLIENTS): Promise<string> {
    const target = { ip: `::ffff:${mesh.ip("cache", "ipv4")}`, port: PORTS.http };
    const socket = await mesh.sockets.dial(CLIENTS[client], target).catch(() => undefined);
    if (socket === undefined) return "";
    const { received } = await readToEnd(socket);
    socket.destroy();
    return received.toString();
  }

  for (const client of ["frontend", "outsider"] as const) {
    test(`of IPv4 in IPv6 notation gets the verdict of IPv4: ${client} (D4.6)`, async () => {
      const ipBlocks = [mesh.ip(client, "ipv4")];
      await mesh.enforce(deny([rule({ source: { ipBlocks } })]));
      assert.equal(await answerByMappedAddress(client), "");
      await mesh.enforce(allow([rule({ source: { ipBlocks } })]));
      assert.equal(await answerByMappedAddress(client), "cache:8080");
    });
  }

  test("that is link-local is under STRICT as any other, and the refusal is logged", async () => {
    await mesh.enforce(peerAuthentication("STRICT"));
    const linkLocal = await linkLocalAddress(mesh, SERVERS.cache);
    const url = `http://[${linkLocal}%25eth0]:${PORTS.http}/`;
    const { outsider } = CLIENTS;
    const curl = ["curl", "-gsS", "--http0.9", "-m", "2", url];
    const { code, stdout } = await mesh.cluster.inPodNetns(outsider, curl);
    assert.notEqual(code, 0);
    assert.equal(stdout, "");
    const source = await linkLocalAddress(mesh, outsider);
    const record = await waitForRecord(mesh.cluster, "node1", {
      "src.addr": new RegExp(`^\\[${source}\\]:\\d+$`),
    });
    assert.equal(record["dst.addr"], `[${linkLocal}]:${PORTS.http}`);
    assert.deepEqual([record.reason, record.policy], ["explicit-deny", STRICT_POLICY]);
  });

  test("of the pod itself is no matter of policy: no ztunnel meets the connection", async () => {
    await mesh.enforce(allow([], { namespace: "istio-system" }));
    for (const family of ["ipv4", "ipv6"] as const) {
      const target = { ip: mesh.ip("cache", family), port: PORTS.http };
      const socket = await mesh.sockets.dial(SERVERS.cache, target);
      assert.equal((await readToEnd(socket)).received.toString(), "cache:8080");
      socket.destroy();
    }
    // The log is in order: once a later refusal is there, an earlier connection would be too.
    const call = { client: "batch", server: "cache", port: PORTS.http, family: "ipv4" } as const;
    assert.equal(await mesh.call(call), false);
    await waitForRecord(mesh.cluster, "node1", {
      reason: "no-allow-matched",
      "src.workload": "batch",
    });
    const own = await findRecords(mesh.cluster, "node1", { "src.workload": "cache" });
    assert.deepEqual(own, []);
  });
});

async function linkLocalAddress(mesh: PolicyMesh, pod: string): Promise<string> {
  const ip = ["ip", "-6", "-br", "address", "show", "dev", "eth0", "scope", "link"];
  const { stdout } = await mesh.cluster.inPodNetns(pod, ip);
  const [, address] = /(fe80:[0-9a-f:]+)\/64/.exec(stdout) ?? [];
  assert.ok(address, stdout);
  return address;
}
