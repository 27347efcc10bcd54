/** A whole waypoint with a control plane that says what the test says, all on loopback. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { issue, startCa } from "#common/identity/ca-fixture.ts";
import { pod, service } from "#common/mesh-state/test-records.ts";
import { makeIdentity } from "#common/model/identity.ts";
import type { MeshAddress } from "#common/model/mesh-address.ts";
import { type WaypointResource, waypointResourceName } from "#common/model/waypoint/resource.ts";
import { TestAuthority } from "#common/tls/authority-fixture.ts";
import { DiscoveryServer, makeServerIdentity } from "#common/xds/delta-test-server.ts";
import { encodeWaypointResource } from "#common/xds/encode-waypoint-resource.ts";
import { encodeAddress } from "#common/xds/encode-workload.ts";
import { ADDRESS_TYPE, WAYPOINT_TYPE } from "#common/xds/type-urls.ts";
import { Waypoint } from "./app.ts";
import { loadConfig } from "./config.ts";
import { PLAIN_GATEWAY, plainBackend, plainService } from "./waypoint-fixture.ts";

const IDENTITY = makeIdentity("cluster.local", "shop", "waypoint");
const WEB = plainService("web", "10.96.0.1");
const ANY_PORTS = { HBONE_PORT: "0", ADMIN_PORT: "0", STATS_PORT: "0", READINESS_PORT: "0" };
const SECRET = "-----BEGIN PRIVATE KEY-----";

describe("a waypoint with its control plane", () => {
  const ca = TestAuthority.root();
  const xdsIdentity = makeServerIdentity("istiod.istio-system.svc");
  let dir: string;
  let issuer: Awaited<ReturnType<typeof startCa>>;
  let xds: DiscoveryServer;
  let waypoint: Waypoint;
  let holdCertificate = true;
  const exits: number[] = [];
  const log: string[] = [];

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "waypoint-"));
    issuer = await startCa(ca, (request) => {
      if (holdCertificate) throw Object.assign(new Error("not yet"), { code: 14 });
      const subjectAltNames = [{ type: "uri", value: IDENTITY.uri } as const];
      return issue(ca, request, { subjectAltNames });
    });
    xds = await DiscoveryServer.start(xdsIdentity);
    const file = async (name: string, text: string): Promise<string> => {
      await writeFile(join(dir, name), text);
      return join(dir, name);
    };
    const env = {
      XDS_ADDRESS: `https://127.0.0.1:${xds.port}`,
      XDS_ROOT_CA: await file("xds-root.pem", xdsIdentity.rootPem),
      ALT_XDS_HOSTNAME: "istiod.istio-system.svc",
      CA_ADDRESS: issuer.url,
      CA_ROOT_CA: await file("ca-root.pem", ca.rootsPem),
      ALT_CA_HOSTNAME: "istiod.istio-system.svc",
      AUTH_TOKEN: await file("token", "a.b.c"),
      POD_NAME: "waypoint-0",
      POD_NAMESPACE: "shop",
      SERVICE_ACCOUNT: "waypoint",
      GATEWAY_NAME: "waypoint",
      INSTANCE_IP: "127.0.0.1",
      LISTEN_IP: "127.0.0.1",
      MEMORY_CGROUP_DIR: dir,
      HTTP_ENGINE: "undici",
      ...ANY_PORTS,
      TERMINATION_DRAIN_DURATION_SECONDS: "0",
    };
    waypoint = await Waypoint.start(loadConfig(env), {
      env,
      version: "test",
      write: (lines) => void log.push(lines),
      unreadBytes: () => 0,
      exit: (code) => void exits.push(code),
    });
  });
  after(async () => {
    await waypoint.drain();
    issuer.stop();
    xds.kill();
    await rm(dir, { recursive: true });
  });

  const get = async (port: "admin" | "metrics" | "readiness", path: string, method = "GET") => {
    const answer = await fetch(`http://127.0.0.1:${waypoint.ports[port]}${path}`, { method });
    return { status: answer.status, body: await answer.text() };
  };
  const ready = () => get("readiness", "/healthz/ready");
  let nonces = 0;
  /** Resolves with what the waypoint said to the push. */
  const push = async (typeUrl: string, resources: ReadonlyMap<string, Uint8Array>) => {
    const nonce = `n${++nonces}`;
    const list = [...resources].map(([name, value]) => {
      return { name, aliases: [], version: nonce, typeUrl, value };
    });
    xds.push({ typeUrl, nonce, resources: list });
    return xds.next(({ request }) => request.responseNonce === nonce);
  };
  const pushAddresses = (...addresses: readonly MeshAddress[]) =>
    push(ADDRESS_TYPE, new Map(addresses.map((one, i) => [`a${i}`, encodeAddress(one)])));
  const pushResources = (...resources: readonly WaypointResource[]) => {
    const named = resources.map(
      (one) => [waypointResourceName("shop/waypoint", one), encodeWaypointResource(one)] as const,
    );
    return push(WAYPOINT_TYPE, new Map(named));
  };

  test("is not ready before it has its certificate, its Gateway and the mesh's addresses", async () => {
    const first = await xds.next(({ request }) => request.typeUrl === WAYPOINT_TYPE);
    assert.equal(first.request.subscribe.length, 0);
    const { request, metadata } = await xds.next((heard) => heard.request.node !== undefined);
    const id = "waypoint~127.0.0.1~waypoint-0.shop~shop.svc.cluster.local";
    assert.equal(request.node?.id, id);
    assert.equal(metadata.get("authorization")[0], "Bearer a.b.c");
    const { status, body } = await ready();
    assert.equal(status, 503);
    assert.match(body, /pending: its Gateway, its certificate, .*waypoint\.Resource, .*Address/);
    holdCertificate = false;
    await pushAddresses(
      { kind: "workload", workload: pod("web-0", ["10.0.0.1"]) },
      { kind: "service", service: service(WEB.hostname, ["10.96.0.1"]) },
    );
    assert.equal((await ready()).status, 503);
    await pushResources(PLAIN_GATEWAY, WEB);
    while ((await ready()).status !== 200) await turn();
  });

  test("asks the CA for its own identity, in nobody else's name", () => {
    assert.deepEqual(issuer.requests[0]?.request.metadata, {});
  });

  test("keeps the last good version of what it cannot read, and says so", async () => {
    const name = waypointResourceName("shop/waypoint", WEB);
    const nack = await push(WAYPOINT_TYPE, new Map([[name, Uint8Array.of(0xff)]]));
    assert.match(nack.request.errorDetail?.message ?? "", /shop\/waypoint\/service\/shop\/web/);
    assert.match((await get("admin", "/config_dump")).body, /"10\.96\.0\.1"/);
  });

  test("shows what it knows, and no key", async () => {
    const tls = {
      mode: "mutual",
      subjectAltNames: [],
      insecureSkipVerify: false,
      privateKey: SECRET,
    } as const;
    await pushResources({ ...plainBackend(WEB), policy: { tls } });
    const { status, body } = await get("admin", "/config_dump");
    assert.equal(status, 200);
    assert.ok(!body.includes(SECRET));
    const dump = JSON.parse(body);
    assert.equal(dump.gateway.name, "waypoint");
    assert.equal(dump.services[0].hostname, WEB.hostname);
    assert.equal(dump.backends[0].policy.tls.privateKey, "(hidden)");
    assert.equal(dump.certificates[0].identity, IDENTITY.uri);
    assert.equal(dump.certificates[0].state, "Available");
    const none = { connections: [], tunnels: [] };
    assert.deepEqual(JSON.parse((await get("admin", "/connections")).body), none);
    assert.match((await get("admin", "/clusters")).body, /^(outbound\|80\|\|web\.shop.*\n)*$/);
    assert.match((await get("metrics", "/stats/prometheus")).body, /istio_build\{.*waypoint/);
  });

  test("stays as it is while the control plane is away", async () => {
    const heard = xds.heard.length;
    xds.endStreams();
    assert.equal((await ready()).status, 200);
    const { request } = await xds.next(
      (again) => again.request.initialResourceVersions.size > 0,
      heard,
    );
    assert.ok(request.typeUrl === WAYPOINT_TYPE || request.typeUrl === ADDRESS_TYPE);
    assert.match((await get("admin", "/config_dump")).body, /"10\.96\.0\.1"/);
  });

  test("ends in good order when it is asked to", async () => {
    assert.equal((await get("admin", "/quitquitquit", "POST")).status, 200);
    while (exits.length === 0) await turn();
    assert.deepEqual(exits, [0]);
    assert.match(log.join(""), /waypoint started.*undici/);
    assert.match(log.join(""), /drained/);
  });
});

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}
