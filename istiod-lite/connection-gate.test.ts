import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import tls from "node:tls";
import { Client, credentials, Metadata, Server, type ServiceError, status } from "@grpc/grpc-js";
import { MeshError } from "#common/runtime/errors.ts";
import { type CaptureReportRequest, CaptureService, report } from "#common/xds/capture-rpc.ts";
import { CertificateAuthority, makeRoot, rootMaterial } from "./ca/certificate-authority.ts";
import { callGuard } from "./call-guard.ts";
import { ConnectionGate, type DropReason } from "./connection-gate.ts";

const root = makeRoot("cluster.local", Date.now());
const authority = new CertificateAuthority(rootMaterial(root.certPem, root.keyPem));
const NAME = "istiod.istio-system.svc";
/** Time enough for an honest handshake on a busy machine. */
const BOUNDS = { connections: 6, unauthenticated: 3, timeoutMs: 1_000 };

/** Unlike `once`, not upset by the reset that comes before the end. */
function closed(socket: net.Socket): Promise<void> {
  if (socket.closed) return Promise.resolve();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/** A server behind a gate, whose callers are good if they say so. */
async function serve() {
  const dropped: DropReason[] = [];
  const heard: CaptureReportRequest[] = [];
  const refused: string[] = [];
  const review = (header: string | undefined) =>
    header === "Bearer good"
      ? Promise.resolve({ namespace: "n", serviceAccount: "a" })
      : Promise.reject(new MeshError("UNAUTHENTICATED", "no good"));
  const guard = callGuard({
    tokens: { review },
    onProved: (peer) => gate.proved(peer),
    onRefused: (peer) => void refused.push(peer),
  });
  const server = new Server({ interceptors: [guard], "grpc.max_receive_message_length": 1 << 20 });
  server.addService(CaptureService, {
    report: (
      call: { request: CaptureReportRequest },
      callback: (error: null, answer: object) => void,
    ) => {
      heard.push(call.request);
      callback(null, {});
    },
  });
  const onDropped = (reason: DropReason): void => void dropped.push(reason);
  const gate = new ConnectionGate({ server, onDropped, bounds: BOUNDS });
  gate.setCertificate(authority.issueServer([NAME]));
  const port = await gate.listen("127.0.0.1", 0);
  return { gate, server, port, dropped, heard, refused };
}

describe("the door of the gRPC port", () => {
  let served: Awaited<ReturnType<typeof serve>>;
  const clients: Client[] = [];
  before(async () => {
    served = await serve();
  });
  after(() => {
    for (const client of clients) client.close();
    served.gate.close();
    served.server.forceShutdown();
  });

  function newClient(): Client {
    const client = new Client(
      `127.0.0.1:${served.port}`,
      credentials.createSsl(Buffer.from(root.certPem)),
      { "grpc.ssl_target_name_override": NAME, "grpc.use_local_subchannel_pool": 1 },
    );
    clients.push(client);
    return client;
  }

  function call(client: Client, token: string, node = "n"): Promise<status> {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    const { path, requestSerialize, responseDeserialize } = report;
    return new Promise((resolve) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { node, pods: [] },
        metadata,
        (error: ServiceError | null) => resolve(error?.code ?? status.OK),
      );
    });
  }

  async function idle(): Promise<net.Socket> {
    const socket = net.connect(served.port, "127.0.0.1").on("error", () => undefined);
    await once(socket, "connect");
    return socket.resume();
  }

  it("lets a caller with a good token in, and keeps its connection", async () => {
    const client = newClient();
    assert.equal(await call(client, "good"), status.OK);
    await new Promise((resolve) => setTimeout(resolve, 2 * BOUNDS.timeoutMs));
    assert.equal(served.gate.size, 1);
    assert.equal(await call(client, "good"), status.OK);
  });

  it("reads nothing of a caller without one: the call ends before its message is there", async () => {
    served.heard.length = 0;
    assert.equal(await call(newClient(), "bad", "x".repeat(500_000)), status.UNAUTHENTICATED);
    assert.equal(served.heard.length, 0);
    assert.equal(served.refused.length, 1);
    const context = { ca: root.certPem, servername: NAME, ALPNProtocols: ["h2"] };
    const socket = tls.connect({ ...context, host: "127.0.0.1", port: served.port });
    await once(socket, "secureConnect");
    const session = connectHttp2(`https://${NAME}`, { createConnection: () => socket });
    session.on("error", () => undefined);
    const stream = session.request({
      ":method": "POST",
      ":path": report.path,
      "content-type": "application/grpc",
    });
    stream.on("error", () => undefined);
    const [headers] = await once(stream, "response");
    assert.equal(headers["grpc-status"], String(status.UNAUTHENTICATED));
    session.destroy();
  });

  it("resets who has proven nothing in time, handshake or not", async () => {
    served.dropped.length = 0;
    const silent = await idle();
    const secure = tls.connect({
      ca: root.certPem,
      servername: NAME,
      ALPNProtocols: ["h2"],
      host: "127.0.0.1",
      port: served.port,
    });
    secure.on("error", () => undefined).resume();
    await Promise.all([closed(silent), closed(secure)]);
    assert.ok(served.dropped.length >= 2);
    assert.deepEqual(new Set(served.dropped), new Set(["authentication-timeout"]));
  });

  it("drops the oldest of too many that have proven nothing, never one that has", async () => {
    served.dropped.length = 0;
    const client = clients[0];
    assert.ok(client);
    const silent: net.Socket[] = [];
    for (let i = 0; i <= BOUNDS.unauthenticated; i++) silent.push(await idle());
    const [oldest, ...others] = silent;
    assert.ok(oldest);
    await closed(oldest);
    assert.equal(served.dropped[0], "too-many-unauthenticated");
    assert.equal(await call(newClient(), "good"), status.OK, "a new one gets through");
    assert.equal(await call(client, "good"), status.OK);
    for (const socket of others) socket.destroy();
  });

  it("shows a new certificate to new connections, and leaves the old ones alone", async () => {
    const client = clients[0];
    assert.ok(client);
    const { port } = served;
    const serialSeen = async (): Promise<string> => {
      const options = { ca: root.certPem, servername: NAME, ALPNProtocols: ["h2"] };
      const socket = tls.connect({ ...options, host: "127.0.0.1", port });
      await once(socket, "secureConnect");
      const serial = socket.getPeerX509Certificate()?.serialNumber ?? "";
      socket.destroy();
      return serial;
    };
    const first = await serialSeen();
    served.gate.setCertificate(authority.issueServer([NAME]));
    assert.notEqual(await serialSeen(), first);
    assert.equal(await call(client, "good"), status.OK);
  });

  it("says so when its port is taken", async () => {
    const other = new ConnectionGate({ server: served.server, onDropped: () => undefined });
    await assert.rejects(other.listen("127.0.0.1", served.port), { code: "BIND_FAILED" });
  });
});
