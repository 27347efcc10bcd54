/** CONNECT and policy against a raw HBONE client: which answer, and what the application sees. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Authorization, EMPTY_MATCH } from "#common/model/authorization.ts";
import { connectTo, request } from "#test/support/hbone-peer.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";
import { CLIENT_IP, InboundFixture, POD_IP } from "./inbound-fixture.ts";

let fixture: InboundFixture;
before(async () => {
  fixture = await InboundFixture.start();
});
after(() => fixture.stop());

describe("a CONNECT", () => {
  test("reaches the application, which sees the client's address and speaks first", async () => {
    const session = await fixture.dial();
    const { status, stream, headers } = await connectTo(session, `${POD_IP}:${fixture.appPort}`);
    assert.equal(status, 200);
    assert.match(String(headers.baggage), /k8s\.namespace\.name=shop/);
    const [greeting] = (await once(stream, "data")) as [Buffer];
    assert.equal(greeting.toString(), `hello ${CLIENT_IP}\n`);
    stream.end("ping");
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.equal(Buffer.concat(chunks).toString(), "ping");
    session.close();
  });

  const REFUSED: readonly [authority: string, status: number, reason: string][] = [
    ["127.0.0.72:80", 400, "ip-mismatch"],
    ["169.254.169.254:80", 400, "ip-mismatch"],
    [`${POD_IP}`, 400, "bad-request"],
    [`${POD_IP}:0`, 400, "bad-request"],
    [`${POD_IP}:65536`, 400, "bad-request"],
    [`${"a".repeat(300)}:80`, 400, "bad-request"],
    [`${POD_IP}:15001`, 503, "recursive-call"],
    [`${POD_IP}:15006`, 503, "recursive-call"],
    [`${POD_IP}:15008`, 503, "recursive-call"],
    [`${POD_IP}:1`, 503, "connect-failed"],
    ["unknown.shop.svc.cluster.local:80", 503, "unknown-destination"],
  ];
  for (const [authority, status, reason] of REFUSED) {
    test(`to ${authority.slice(0, 40)} is answered ${status}: ${reason}`, async () => {
      const session = await fixture.dial();
      const answer = await connectTo(session, authority);
      assert.equal(answer.status, status);
      assert.equal(fixture.lastRefusal?.reason, reason);
      session.destroy();
    });
  }

  test("with user information is refused by HTTP/2 itself", async () => {
    const session = await fixture.dial();
    const { status, stream } = await connectTo(session, `user@${POD_IP}:80`);
    assert.equal(status, 0);
    assert.notEqual(stream.rstCode, 0);
    session.destroy();
  });

  test("D4.39 of a client that leaves while the application is called ends that call", async () => {
    const sys = createLinuxSyscalls();
    const port = await unusedPort();
    // An application that accepts nobody: its queue is full, further calls are not answered.
    const fd = sys.listenTcp({ ip: POD_IP, port, backlog: 0, reusePort: false, mark: 0 });
    const full = [net.connect(port, POD_IP), net.connect(port, POD_IP)];
    const session = await fixture.dial();
    const before = fixture.refusals.length;
    const headers = { ":method": "CONNECT", ":authority": `${POD_IP}:${port}` };
    const streams = Array.from({ length: 100 }, () => session.request(headers));
    await new Promise((resolve) => session.ping(resolve));
    for (const stream of streams) stream.on("error", () => undefined).close(8);
    while (fixture.refusals.length < before + streams.length) await sleep(10);
    const reasons = new Set(fixture.refusals.slice(before).map(({ why }) => why.reason));
    assert.deepEqual([...reasons], ["peer-reset"]);
    for (const socket of full) socket.destroy();
    session.destroy();
    sys.close(fd);
  });

  test("GET and POST are answered 400", async () => {
    const session = await fixture.dial();
    for (const method of ["GET", "POST"]) {
      const headers = { ":method": method, ":scheme": "https", ":path": "/", ":authority": "a:1" };
      assert.equal((await request(session, headers)).status, 400);
    }
    session.destroy();
  });

  test("half-closed at once still gets the application's answer", async () => {
    const session = await fixture.dial();
    const stream = session.request(
      { ":method": "CONNECT", ":authority": `${POD_IP}:${fixture.appPort}` },
      { endStream: true },
    );
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.equal(Buffer.concat(chunks).toString(), `hello ${CLIENT_IP}\n`);
    session.close();
  });

  test("an application that resets its connection resets the stream", async () => {
    const resetting = net.createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.resetAndDestroy());
    });
    resetting.listen(0, POD_IP);
    await once(resetting, "listening");
    const { port } = resetting.address() as net.AddressInfo;
    const session = await fixture.dial();
    const { status, stream } = await connectTo(session, `${POD_IP}:${port}`);
    assert.equal(status, 200);
    stream.write("x");
    await new Promise((resolve) => stream.once("close", resolve));
    assert.equal(stream.rstCode, http2.constants.NGHTTP2_CONNECT_ERROR);
    session.destroy();
    resetting.close();
  });
});

test("D4.5 a connection whose original destination is not known goes nowhere", async () => {
  for (const port of fixture.capturedPorts) {
    const before = fixture.appConnections;
    const socket = net.connect(port, POD_IP).on("error", () => undefined);
    await new Promise((resolve) => socket.resume().once("close", resolve));
    assert.equal(fixture.lastRefusal?.reason, "original-destination-missing");
    assert.equal(fixture.appConnections, before);
  }
});

describe("policy", () => {
  const policy = (action: "allow" | "deny", account: string): Authorization => ({
    name: "p",
    namespace: "shop",
    scope: "namespace",
    action,
    dryRun: false,
    rules: [
      {
        clauses: [
          {
            matches: [
              {
                ...EMPTY_MATCH,
                principals: [{ kind: "exact", value: `cluster.local/ns/shop/sa/${account}` }],
              },
            ],
          },
        ],
      },
    ],
  });

  const CASES: readonly ["allow" | "deny", string, number, string | undefined][] = [
    ["deny", "client", 401, "explicit-deny"],
    ["deny", "other", 200, undefined],
    ["allow", "client", 200, undefined],
    ["allow", "other", 401, "no-allow-matched"],
  ];
  for (const [action, account, status, reason] of CASES) {
    test(`${action} ${account}: the client is answered ${status}`, async () => {
      fixture.put({}, [policy(action, account)]);
      const session = await fixture.dial();
      const answer = await connectTo(session, `${POD_IP}:${fixture.appPort}`);
      assert.equal(answer.status, status);
      if (reason !== undefined) {
        assert.equal(fixture.lastRefusal?.reason, reason);
        assert.equal(fixture.lastRefusal?.policy, "shop/p");
      }
      session.destroy();
      fixture.put({});
    });
  }

  test("a change that no longer allows an established connection closes it", async () => {
    const session = await fixture.dial();
    const { status, stream } = await connectTo(session, `${POD_IP}:${fixture.appPort}`);
    assert.equal(status, 200);
    stream.resume();
    const closed = new Promise((resolve) => stream.once("close", resolve));
    fixture.put({}, [policy("deny", "other")]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(stream.closed, false);
    fixture.put({}, [policy("deny", "client")]);
    await closed;
    assert.notEqual(stream.rstCode, 0);
    session.destroy();
    fixture.put({});
  });

  test("a workload whose named policy has not arrived lets nobody in until it has", async () => {
    fixture.put({ authorizationPolicies: ["shop/late"] });
    const session = await fixture.dial();
    const answer = connectTo(session, `${POD_IP}:${fixture.appPort}`);
    const early = await Promise.race([answer, new Promise((r) => setTimeout(r, 300, "waiting"))]);
    assert.equal(early, "waiting");
    const late = {
      ...policy("allow", "client"),
      name: "late",
      scope: "workload-selector" as const,
    };
    fixture.addPolicy(late);
    assert.equal((await answer).status, 200);
    session.destroy();
    fixture.put({});
  });
});

async function unusedPort(): Promise<number> {
  const probe = net.createServer().listen(0, POD_IP);
  await once(probe, "listening");
  const { port } = probe.address() as net.AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}
