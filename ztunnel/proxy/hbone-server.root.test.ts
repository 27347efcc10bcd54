/** The inbound side against a raw HBONE client: who gets in, and with which answer. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { type Authorization, EMPTY_MATCH } from "#common/model/authorization.ts";
import { makeIdentity } from "#common/model/identity.ts";
import type { IpAddress } from "#common/model/ip.ts";
import type { Workload } from "#common/model/workload.ts";
import {
  connectHbone,
  connectTls,
  connectTo,
  createTestCa,
  issueLeaf,
  type LeafOptions,
  request,
} from "#test/support/hbone-peer.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";
import { TLS_HANDSHAKE_TIMEOUT_MS } from "../limits.ts";
import type { ConnectionMeta, ConnectionReporter } from "./connection-tracker.ts";
import { DataPlane } from "./data-plane.ts";
import type { ConnectionFailure } from "./failure.ts";

const POD_IP = "127.0.0.71" as IpAddress;
const POD_UID = "pod-uid";
const SERVER: Workload = {
  uid: "Kubernetes//Pod/shop/web-0",
  name: "web-0",
  namespace: "shop",
  addresses: [POD_IP],
  hostname: "",
  network: "",
  tunnelProtocol: "hbone",
  trustDomain: "cluster.local",
  serviceAccount: "web",
  node: "node1",
  canonicalName: "web",
  canonicalRevision: "latest",
  workloadType: "pod",
  workloadName: "web-0",
  nativeTunnel: false,
  services: new Map(),
  authorizationPolicies: [],
  status: "healthy",
  clusterId: "Kubernetes",
  locality: { region: "", zone: "", subzone: "" },
  networkMode: "standard",
  capacity: 1,
};

const ca = createTestCa();
const client = issueLeaf(ca, { namespace: "shop", serviceAccount: "client" });
const syscalls = createLinuxSyscalls();
const refusals: { meta: ConnectionMeta; why: ConnectionFailure }[] = [];
const reporter: ConnectionReporter = {
  opened: () => undefined,
  progressed: () => undefined,
  closed: () => undefined,
  refused: (meta, _duration, why) => refusals.push({ meta, why }),
  acceptFailed: () => undefined,
  internalError: (error) => assert.fail(String(error)),
};
let dataPlane: DataPlane;
let app: net.Server;
let hbonePort = 0;
let appPort = 0;

async function listenFd(): Promise<{ fd: number; port: number }> {
  const probe = net.createServer().listen(0, POD_IP);
  await once(probe, "listening");
  const { port } = probe.address() as net.AddressInfo;
  probe.close();
  await once(probe, "close");
  const options = { ip: POD_IP, port, backlog: 128, reusePort: true, mark: 0 };
  return { fd: syscalls.listenTcp(options), port };
}

function put(workload: Partial<Workload>, policies: readonly Authorization[] = []): void {
  dataPlane.applyState({
    addresses: [{ kind: "workload", workload: { ...SERVER, ...workload } }],
    removedAddresses: [],
    policies,
    removedPolicies: ["shop/p", "istio-system/p"],
  });
}

before(async () => {
  dataPlane = new DataPlane(
    { trustDomain: "cluster.local", network: "", keepSourceAddress: true },
    { syscalls, reporter, requestCertificate: () => undefined, random: Math.random },
  );
  put({});
  dataPlane.putCertificate(issueLeaf(ca, { namespace: "shop", serviceAccount: "web" }));
  const [outbound, inboundPlaintext, hbone] = await Promise.all([
    listenFd(),
    listenFd(),
    listenFd(),
  ]);
  hbonePort = hbone.port;
  const pod = {
    uid: POD_UID,
    name: "web-0",
    namespace: "shop",
    serviceAccount: "web",
    ips: [POD_IP],
    workloadUid: SERVER.uid,
    bypassInboundCapture: false,
  };
  const listeners = {
    outbound: outbound.fd,
    inboundPlaintext: inboundPlaintext.fd,
    hbone: hbone.fd,
  };
  await dataPlane.addPod(pod, syscalls.openNetns("/proc/self/ns/net"), listeners);
  app = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write(`hello ${socket.remoteAddress}\n`);
    socket.pipe(socket);
  });
  app.listen(0, POD_IP);
  await once(app, "listening");
  appPort = (app.address() as net.AddressInfo).port;
});

after(async () => {
  await dataPlane.drain(0);
  app.close();
});

const dial = (certificate = client) =>
  connectHbone({ host: POD_IP, port: hbonePort, certificate, localAddress: "127.0.0.5" });

function lastFailure(): ConnectionFailure | undefined {
  return refusals.at(-1)?.why;
}

describe("a CONNECT", () => {
  test("reaches the application, which sees the client's address and speaks first", async () => {
    const session = await dial();
    const { status, stream, headers } = await connectTo(session, `${POD_IP}:${appPort}`);
    assert.equal(status, 200);
    assert.match(String(headers.baggage), /k8s\.namespace\.name=shop/);
    const [greeting] = (await once(stream, "data")) as [Buffer];
    assert.equal(greeting.toString(), "hello 127.0.0.5\n");
    stream.end("ping");
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.equal(Buffer.concat(chunks).toString(), "ping");
    session.close();
  });

  const REFUSED: readonly [authority: () => string, status: number, reason: string][] = [
    [() => `127.0.0.72:${appPort}`, 400, "ip-mismatch"],
    [() => "169.254.169.254:80", 400, "ip-mismatch"],
    [() => `${POD_IP}`, 400, "bad-request"],
    [() => `${POD_IP}:0`, 400, "bad-request"],
    [() => `${POD_IP}:65536`, 400, "bad-request"],
    [() => `${"a".repeat(300)}:80`, 400, "bad-request"],
    [() => `${POD_IP}:15001`, 503, "recursive-call"],
    [() => `${POD_IP}:15006`, 503, "recursive-call"],
    [() => `${POD_IP}:15008`, 503, "recursive-call"],
    [() => `${POD_IP}:1`, 503, "connect-failed"],
    [() => "unknown.shop.svc.cluster.local:80", 503, "unknown-destination"],
  ];
  for (const [authority, status, reason] of REFUSED) {
    test(`to ${authority().slice(0, 40)} is answered ${status}: ${reason}`, async () => {
      const session = await dial();
      const answer = await connectTo(session, authority());
      assert.equal(answer.status, status);
      assert.equal(lastFailure()?.reason, reason);
      session.destroy();
    });
  }

  test("with user information is refused by HTTP/2 itself", async () => {
    const session = await dial();
    const { status, stream } = await connectTo(session, `user@${POD_IP}:80`);
    assert.equal(status, 0);
    assert.notEqual(stream.rstCode, 0);
    session.destroy();
  });

  test("GET and POST are answered 400", async () => {
    const session = await dial();
    for (const method of ["GET", "POST"]) {
      const headers = { ":method": method, ":scheme": "https", ":path": "/", ":authority": "a:1" };
      assert.equal((await request(session, headers)).status, 400);
    }
    session.destroy();
  });

  test("half-closed at once still gets the application's answer", async () => {
    const session = await dial();
    const stream = session.request(
      { ":method": "CONNECT", ":authority": `${POD_IP}:${appPort}` },
      { endStream: true },
    );
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.equal(Buffer.concat(chunks).toString(), "hello 127.0.0.5\n");
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
    const session = await dial();
    const { status, stream } = await connectTo(session, `${POD_IP}:${port}`);
    assert.equal(status, 200);
    stream.write("x");
    await new Promise((resolve) => stream.once("close", resolve));
    assert.equal(stream.rstCode, http2.constants.NGHTTP2_CONNECT_ERROR);
    session.destroy();
    resetting.close();
  });
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
      put({}, [policy(action, account)]);
      const session = await dial();
      const answer = await connectTo(session, `${POD_IP}:${appPort}`);
      assert.equal(answer.status, status);
      if (reason !== undefined) {
        assert.equal(lastFailure()?.reason, reason);
        assert.equal(lastFailure()?.policy, "shop/p");
      }
      session.destroy();
      put({});
    });
  }

  test("a change that no longer allows an established connection closes it", async () => {
    const session = await dial();
    const { status, stream } = await connectTo(session, `${POD_IP}:${appPort}`);
    assert.equal(status, 200);
    stream.resume();
    const closed = new Promise((resolve) => stream.once("close", resolve));
    put({}, [policy("deny", "other")]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(stream.closed, false);
    put({}, [policy("deny", "client")]);
    await closed;
    assert.notEqual(stream.rstCode, 0);
    session.destroy();
    put({});
  });

  test("a workload whose named policy has not arrived lets nobody in until it has", async () => {
    put({ authorizationPolicies: ["shop/late"] });
    const session = await dial();
    const answer = connectTo(session, `${POD_IP}:${appPort}`);
    const early = await Promise.race([answer, new Promise((r) => setTimeout(r, 300, "waiting"))]);
    assert.equal(early, "waiting");
    const late = {
      ...policy("allow", "client"),
      name: "late",
      scope: "workload-selector" as const,
    };
    dataPlane.applyState({
      addresses: [],
      removedAddresses: [],
      policies: [late],
      removedPolicies: [],
    });
    assert.equal((await answer).status, 200);
    session.destroy();
    put({});
  });
});

describe("a client is refused", () => {
  const id = { namespace: "shop", serviceAccount: "client" };
  const bad: readonly [string, () => ReturnType<typeof issueLeaf> | undefined][] = [
    ["without a certificate", () => undefined],
    ["of another CA", () => issueLeaf(createTestCa("other"), id)],
    ["of another trust domain", () => issueLeaf(ca, { ...id, trustDomain: "evil.local" })],
    ["whose certificate has expired", () => leaf({ notAfter: new Date(Date.now() - 1000) })],
    ["whose certificate is not valid yet", () => leaf({ notBefore: new Date(Date.now() + 9e6) })],
    ["with two SPIFFE names", () => leaf({ uris: [uri("client"), uri("admin")] })],
    ["without a name", () => leaf({ uris: [] })],
    ["with an escaped name", () => leaf({ uris: ["spiffe://cluster.local/ns/a%2fb/sa/x"] })],
    ["whose key is not for clients", () => leaf({ purposes: ["serverAuth"] })],
  ];
  const leaf = (options: LeafOptions) => issueLeaf(ca, id, options);
  const uri = (account: string) => makeIdentity("cluster.local", "shop", account).uri;

  for (const [name, certificate] of bad) {
    test(name, async () => {
      const offered = certificate();
      const before = refusals.length;
      await assert.rejects(
        connectHbone({
          host: POD_IP,
          port: hbonePort,
          ...(offered && { certificate: offered }),
        }).then((session) => connectTo(session, `${POD_IP}:${appPort}`)),
      );
      while (refusals.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(refusals.length, before + 1);
      assert.match(refusals.at(-1)?.meta.sourceAddress?.ip ?? "", /^127\./);
      assert.ok(["tls-failed", "identity-mismatch"].includes(lastFailure()?.reason ?? ""));
    });
  }

  test("that speaks TLS 1.2 only", async () => {
    const options = { host: POD_IP, port: hbonePort, certificate: client };
    await assert.rejects(connectTls({ ...options, maxVersion: "TLSv1.2" }));
  });

  test("that does not finish its handshake, within the time limit, while others get in", async () => {
    const silent = net.connect(hbonePort, POD_IP);
    silent.on("error", () => undefined);
    await once(silent, "connect");
    const startedAt = performance.now();
    const session = await dial();
    assert.equal((await connectTo(session, `${POD_IP}:${appPort}`)).status, 200);
    session.destroy();
    silent.resume();
    await once(silent, "close");
    assert.ok(performance.now() - startedAt < TLS_HANDSHAKE_TIMEOUT_MS + 3000);
    assert.equal(lastFailure()?.reason, "tls-timeout");
  });
});
