/** Clients and applications without manners, against a real pair of ztunnels. */
import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import type net from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { waitForRecord } from "#test/support/access-log.ts";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";
import { connectHbone, connectTo, issueLeaf } from "#test/support/hbone-peer.ts";
import { namespace, pod } from "#test/support/objects.ts";
import { PodSockets, readBytes } from "#test/support/pod-sockets.ts";

const ECHO = 8080;
const TALKS = 7070;
const OBJECTS = [
  namespace("shop", "ambient"),
  namespace("outside", undefined),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "web", node: "node2" }),
  ...pod({ namespace: "outside", name: "peer", node: "node1" }),
];
/** A TLS record that begins a ClientHello of 512 bytes, as far as a patient peer gets. */
const CLIENT_HELLO = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
/** Has a network take these ports for its connections. */
const portRange = (range: string) => [
  "sh",
  "-c",
  `echo ${range} > /proc/sys/net/ipv4/ip_local_port_range`,
];
/** What a ztunnel may hold more than before: pooled tunnels, readers of its metrics. */
const SPARE_DESCRIPTORS = 12;

describe("the mesh, against peers without manners", () => {
  let cluster: TestCluster;
  let sockets: PodSockets;
  let ip: string;
  const endings: string[] = [];
  const talkers = new Set<net.Socket>();
  let talked = 0;

  before(async () => {
    cluster = await startCluster({ objects: OBJECTS });
    sockets = new PodSockets(cluster);
    ip = await cluster.podIp("shop/web");
    await sockets.serve("shop/web", ECHO, (socket) => {
      socket.on("end", () => void endings.push("end"));
      socket.on("error", (error: NodeJS.ErrnoException) => void endings.push(error.code ?? ""));
      socket.pipe(socket);
    });
    await sockets.serve("shop/web", TALKS, (socket) => {
      talked++;
      talkers.add(socket);
      const talking = setInterval(() => socket.write("and another thing, "), 20);
      socket.resume().on("close", () => {
        clearInterval(talking);
        talkers.delete(socket);
      });
    });
  });

  after(async () => {
    sockets?.[Symbol.dispose]();
    await cluster?.stop();
  });

  async function descriptors(node: string): Promise<number> {
    return (await readdir(join(await cluster.ztunnel(node).procDir(), "fd"))).length;
  }

  /** A client of the mesh gets its own bytes back. */
  async function assertServed(): Promise<void> {
    const socket = await sockets.dial("shop/client", { ip, port: ECHO });
    socket.write("ping");
    assert.equal(String(await readBytes(socket, 4)), "ping");
    socket.destroy();
  }

  /** A certificate of the mesh's own CA, as a node that was broken into would have it. */
  async function stolenCertificate(): Promise<WorkloadCertificate> {
    const { ca } = cluster.client.paths;
    const rootPem = await readFile(join(ca, "root-cert.pem"), "utf8");
    const privateKey = createPrivateKey(await readFile(join(ca, "root-key.pem")));
    const certificate = new X509Certificate(rootPem);
    const identity = { namespace: "shop", serviceAccount: "client" };
    return issueLeaf({ certificate, privateKey, rootPem }, identity);
  }

  test("D4.16 connections that are reset at once end as resets, and leave no descriptor behind", async () => {
    await assertServed();
    await cluster.until("the first client has left", () => endings.length > 0);
    const before = { node1: await descriptors("node1"), node2: await descriptors("node2") };
    endings.length = 0;
    const opened = 3 * 150;
    for (let round = 0; round < 3; round++) {
      const burst = await sockets.dialMany("shop/client", { ip, port: ECHO }, 150);
      for (const socket of burst) socket.resetAndDestroy();
    }
    for (const node of ["node1", "node2"] as const) {
      await cluster.until(`${node} has closed its descriptors`, async () => {
        return (await descriptors(node)) <= before[node] + SPARE_DESCRIPTORS;
      });
    }
    // A connection that was reset before its ztunnel had looked at it never reaches the server; of
    // those that do, the server may hear after their descriptors are gone, or were never there.
    await cluster.until("the server has heard of some", () => endings.length > 0);
    assert.ok(endings.length <= opened, `${endings.length} endings`);
    assert.deepEqual(
      endings.filter((ending) => ending === "end"),
      [],
    );
    await assertServed();
  });

  test("D4.18 without a free port a connection fails at once, and others go through later", async () => {
    const target = { ip: await cluster.podIp("outside/peer"), port: ECHO };
    await sockets.serve("outside/peer", ECHO, (socket) => void socket.pipe(socket));
    // What goes outside the mesh takes a port of ztunnel's for each connection: two are free.
    await cluster.inPodNetns("shop/client", portRange("40000 40001"));
    const open: net.Socket[] = [];
    for (const localPort of [50_001, 50_002]) {
      const socket = await sockets.dial("shop/client", { ...target, localPort });
      socket.write("ping");
      assert.equal(String(await readBytes(socket, 4)), "ping");
      open.push(socket);
    }
    const third = { ...target, localPort: 50_003 };
    assert.equal((await sockets.call("shop/client", third, "ping")).how, "reset");
    const source = `${await cluster.podIp("shop/client")}:50003`;
    const { reason } = await waitForRecord(cluster, "node1", { "src.addr": source });
    assert.equal(reason, "connect-failed");
    await cluster.inPodNetns("shop/client", portRange("32768 60999"));
    const { received } = await sockets.call("shop/client", target, "ping");
    assert.equal(String(received), "ping");
    for (const socket of open) socket.destroy();
  });

  test("an application that goes on talking to a client that left is told by a reset", async () => {
    const socket = await sockets.dial("outside/peer", { ip, port: 15008 });
    const certificate = await stolenCertificate();
    const session = await connectHbone({ host: ip, port: 15008, certificate, socket });
    const calls = 10;
    for (let i = 0; i < calls; i++) {
      const { status, stream } = await connectTo(session, `${ip}:${TALKS}`);
      assert.equal(status, 200);
      stream.resume().close(i % 2 === 0 ? 8 : 0);
    }
    const areTold = (): boolean => talked === calls && talkers.size === 0;
    await cluster.until("every application has been told", areTold);
    session.destroy();
  });

  test("handshakes that nobody finishes are cut off, and keep no client out", async () => {
    const idle = await sockets.dialMany("outside/peer", { ip, port: 15008 }, 400);
    for (const socket of idle) socket.resume();
    let sent = 0;
    const trickle = setInterval(() => {
      const byte = Uint8Array.of(CLIENT_HELLO[sent++] ?? 0);
      for (const socket of idle) if (!socket.destroyed) socket.write(byte);
    }, 500);
    try {
      await assertServed();
      const areClosed = () => idle.every((socket) => socket.readableEnded || socket.destroyed);
      await cluster.until("all are closed", areClosed, { timeoutMs: 30_000 });
      await assertServed();
    } finally {
      clearInterval(trickle);
    }
  });
});
