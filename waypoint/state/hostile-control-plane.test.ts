/**
 * A control plane that sends a waypoint what no istiod-lite would: each resource is refused by its
 * name, the last good one stays in force, and traffic is judged by it.
 */
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import { type WaypointResource, waypointResourceName } from "#common/model/waypoint/resource.ts";
import { SERVER_NAME, startTestClient } from "#common/xds/delta-test-client.ts";
import { DiscoveryServer, makeServerIdentity } from "#common/xds/delta-test-server.ts";
import { encodeWaypointResource } from "#common/xds/encode-waypoint-resource.ts";
import { WAYPOINT_TYPE } from "#common/xds/type-urls.ts";
import { authorization, serviceWith } from "../filter/request-fixture.ts";
import { PLAIN_GATEWAY, plainBackend, plainService, WaypointFixture } from "../waypoint-fixture.ts";
import { waypointHandlers } from "./subscription.ts";

const VIP = "10.96.0.1";
/** Nobody but GET may in. */
const WEB = plainService("web", VIP, {
  policies: serviceWith({
    authorizations: [authorization("gets", "allow", [{ to: [{ methods: ["GET"] }] }])],
  }).policies,
});
const nameOf = (resource: WaypointResource): string =>
  waypointResourceName("shop/waypoint", resource);

const web = JSON.parse(JSON.stringify(WEB));
const gateway = JSON.parse(JSON.stringify(PLAIN_GATEWAY));
const open = { ...web, policies: serviceWith({}).policies };

/** What is wrong with it, the name it comes under, and its text. */
const HOSTILE: readonly [string, WaypointResource, string][] = [
  ["text that is no JSON", WEB, "{"],
  ["no text", WEB, ""],
  ["null", WEB, "null"],
  ["a list", WEB, "[]"],
  ["a hundred thousand lists in lists", WEB, "[".repeat(100_000)],
  ["a kind that nobody knows", WEB, JSON.stringify({ ...open, kind: "servant" })],
  ["the kind of a prototype's property", WEB, JSON.stringify({ ...open, kind: "constructor" })],
  ["a field that is not known", WEB, JSON.stringify({ ...open, policyMode: "off" })],
  ["a prototype", WEB, JSON.stringify(open).replace("{", '{"__proto__":{"policies":{}},')],
  ["no policies", WEB, JSON.stringify({ ...web, policies: undefined })],
  ["policies that are none", WEB, JSON.stringify({ ...web, policies: "none" })],
  ["an action that is not known", WEB, JSON.stringify(web).replace('"allow"', '"permit"')],
  ["a rule that asks for what is not known", WEB, withRule({ from: [{ cluster: ["a"] }] })],
  ["a value that is a number", WEB, withRule({ to: [{ methods: [1] }] })],
  ["a port beyond all ports", WEB, JSON.stringify({ ...open, ports: [{ port: 65_536 }] })],
  ["a port that is broken", WEB, JSON.stringify({ ...open, ports: [{ port: 1.5 }] })],
  ["a gateway without telemetry", PLAIN_GATEWAY, JSON.stringify({ ...gateway, telemetry: null })],
  ["a normalization of its own", PLAIN_GATEWAY, withNormalization("all-of-them")],
];

/** The message whose only field is this text (ambientmesh.waypoint.Resource). */
function text(json: string): Uint8Array {
  const bytes = Buffer.from(json);
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest >= 0x80; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.of(0x0a, ...length, rest), bytes]);
}

function withRule(rule: object): string {
  const whole = { from: [], to: [], when: [], ...rule };
  const policy = { key: "shop/gets", action: "allow", dryRun: false, rules: [whole] };
  return JSON.stringify({ ...web, policies: { ...web.policies, authorizations: [policy] } });
}

function withNormalization(pathNormalization: string): string {
  return JSON.stringify({ ...gateway, pathNormalization });
}

describe("a waypoint whose control plane sends", () => {
  const xdsIdentity = makeServerIdentity(SERVER_NAME);
  const app = http.createServer((_, response) => response.end("served"));
  let fixture: WaypointFixture;
  let xds: DiscoveryServer;
  const cleanUps: (() => Promise<void>)[] = [];
  let nonces = 0;

  before(async () => {
    fixture = await WaypointFixture.start();
    await fixture.addService(WEB);
    await fixture.startPod("web", [WEB], (socket) => app.emit("connection", socket));
    xds = await DiscoveryServer.start(xdsIdentity);
    const { mesh, store } = fixture.dataPlane;
    const scope = { after: (cleanUp: () => Promise<void>) => void cleanUps.push(cleanUp) };
    const handlers = waypointHandlers(mesh, store);
    await startTestClient(scope, xds, xdsIdentity, { handlers });
    await xds.next(({ request }) => request.typeUrl === WAYPOINT_TYPE);
    const good = [PLAIN_GATEWAY, WEB, plainBackend(WEB)];
    const accepted = await push(good.map((one) => [nameOf(one), encodeWaypointResource(one)]));
    assert.equal(accepted, undefined);
  });
  after(async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
    await fixture.stop();
  });

  /** What the waypoint has against it. */
  async function push(
    resources: readonly (readonly [name: string, value: Uint8Array])[],
    removedResources: readonly string[] = [],
  ): Promise<string | undefined> {
    const nonce = `n${++nonces}`;
    xds.push({
      typeUrl: WAYPOINT_TYPE,
      nonce,
      resources: resources.map(([name, value]) => {
        return { name, aliases: [], version: nonce, typeUrl: WAYPOINT_TYPE, value };
      }),
      removedResources,
    });
    const { request } = await xds.next((heard) => heard.request.responseNonce === nonce);
    return request.errorDetail?.message;
  }

  async function statusOf(method: string): Promise<string> {
    const { status, stream } = await fixture.connect(`${VIP}:80`);
    assert.equal(status, 200);
    stream.end(`${method} / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n`);
    let answer = "";
    for await (const chunk of stream) answer += chunk;
    return answer.slice(9, 12);
  }

  async function assertInForce(): Promise<void> {
    await fixture.dataPlane.store.whenApplied();
    assert.deepEqual([await statusOf("GET"), await statusOf("DELETE")], ["200", "403"]);
  }

  for (const [what, resource, json] of HOSTILE) {
    test(`${what} refuses it by name, and goes on by the last good one`, async () => {
      const why = await push([[nameOf(resource), text(json)]]);
      assert.ok(why?.startsWith(`${nameOf(resource)}: `), String(why));
      await assertInForce();
    });
  }

  test("bytes that are no resource refuses them, and takes what else came with them", async () => {
    const other = plainService("other", "10.96.0.2");
    const why = await push([
      [nameOf(WEB), Uint8Array.of(0xff, 0xff, 0xff)],
      [nameOf(other), encodeWaypointResource(other)],
    ]);
    assert.ok(why?.startsWith(`${nameOf(WEB)}: `), String(why));
    await assertInForce();
    assert.equal((await fixture.connect("10.96.0.2:80")).status, 200);
  });

  test("removals of what is not there, or nothing at all, changes nothing", async () => {
    const names = ["", "__proto__", "shop/waypoint/service/shop/nothing"];
    assert.equal(await push([], names), undefined);
    assert.equal(await push([]), undefined);
    await assertInForce();
  });

  test("the same name twice with one that is broken keeps a whole one", async () => {
    const good = encodeWaypointResource(WEB);
    const why = await push([
      [nameOf(WEB), good],
      [nameOf(WEB), text("{")],
    ]);
    assert.ok(why?.startsWith(`${nameOf(WEB)}: `), String(why));
    await assertInForce();
  });

  test("what it refused is asked for again by the next stream", async () => {
    await push([[nameOf(WEB), text("{")]]);
    const heard = xds.heard.length;
    xds.endStreams();
    const isAgain = ({ request }: (typeof xds.heard)[number]) =>
      request.typeUrl === WAYPOINT_TYPE && request.initialResourceVersions.size > 0;
    const { request } = await xds.next(isAgain, heard);
    assert.equal(request.initialResourceVersions.has(nameOf(WEB)), false);
    assert.equal(request.initialResourceVersions.has(nameOf(plainBackend(WEB))), true);
    await assertInForce();
  });
});
