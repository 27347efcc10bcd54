/** What a request goes through: in which spelling, and in what order it is asked about. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type net from "node:net";
import { after, before, beforeEach, test } from "node:test";
import type { L7Authorization } from "#common/model/waypoint/policy.ts";
import { extAuthzProvider } from "./filter/ext-authz/provider-fixture.ts";
import { PLAIN_GATEWAY, plainService, WaypointFixture } from "./waypoint-fixture.ts";

const WEB = plainService("web", "10.96.0.1");
const AUTHORIZER = plainService("authorizer", "10.96.0.2");

const PROVIDER = extAuthzProvider({
  namespace: "shop",
  hostname: AUTHORIZER.hostname,
  timeoutMs: 10_000,
  statusOnError: 503,
});

function policy(action: L7Authorization["action"], paths?: string[]): L7Authorization {
  const to = paths === undefined ? [] : [{ paths }];
  const rules = [{ from: [], to, when: [] }];
  const provider = action === "custom" ? { provider: PROVIDER } : {};
  return { key: `shop/${action}`, action, dryRun: false, rules, ...provider };
}

let fixture: WaypointFixture;
let asked: string[] = [];
let paths: string[] = [];
const app = http.createServer(({ url = "" }, response) => {
  paths.push(url);
  response.end("web");
});
const authorizer = http.createServer(({ url = "" }, response) => {
  asked.push(url);
  response.writeHead(url === "/no" ? 401 : 200).end();
});

before(async () => {
  fixture = await WaypointFixture.start();
  for (const config of [WEB, AUTHORIZER]) await fixture.addService(config);
  await fixture.startPod("web", [WEB], (socket) => app.emit("connection", socket));
  const pods = [AUTHORIZER];
  await fixture.startPod("authorizer", pods, (socket) => authorizer.emit("connection", socket));
});
after(() => fixture.stop());
beforeEach(() => {
  asked = [];
  paths = [];
});

async function status(path: string): Promise<number> {
  const { stream } = await fixture.connect("10.96.0.1:80");
  const createConnection = () => stream as unknown as net.Socket;
  const request = http.request({ createConnection, path, headers: { host: "web" } });
  request.end();
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.resume();
  await once(response, "end");
  return response.statusCode ?? 0;
}

test("an authorizer is asked about what DENY and ALLOW let pass, and counts nobody against a limit", async () => {
  const perHour = { requests: 2, perMs: 3_600_000, burst: 2 };
  await fixture.set({
    ...WEB,
    policies: {
      requestAuthentications: [],
      authorizations: [
        policy("custom"),
        policy("deny", ["/denied"]),
        policy("allow", ["/yes", "/no", "/denied"]),
      ],
      rateLimits: [{ key: "shop/two[0]", matches: [], descriptors: [], local: perHour }],
    },
  });
  assert.equal(await status("/denied"), 403);
  assert.equal(await status("/elsewhere"), 403);
  assert.deepEqual(asked, [], "who may not ask anyway");
  assert.equal(await status("/no"), 401);
  assert.equal(await status("/no"), 401);
  assert.equal(await status("/yes"), 200, "what was refused has taken nothing from the limit");
  assert.equal(await status("/yes"), 200);
  assert.equal(await status("/yes"), 429);
  assert.deepEqual(asked, ["/no", "/no", "/yes", "/yes", "/yes"]);
});

test("paths are spelled as the mesh configuration says, from the next request on", async () => {
  await fixture.set(WEB);
  const written = "/a//b%2fc/../%64";
  for (const [pathNormalization, spelled] of [
    [undefined, "/a//d"],
    ["none", written],
    ["merge-slashes", "/a/d"],
    ["decode-and-merge-slashes", "/a/b/d"],
  ] as const) {
    await fixture.set({ ...PLAIN_GATEWAY, ...(pathNormalization && { pathNormalization }) });
    assert.equal(await status(written), 200);
    assert.deepEqual(paths.splice(0), [spelled], pathNormalization ?? "default");
  }
});
