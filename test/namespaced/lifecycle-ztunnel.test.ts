/** A node's ztunnel that ends, in good order or not: what its pods and their peers see. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { constants } from "node:http2";
import type net from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { connectTo } from "#test/support/hbone-peer.ts";
import { PodSockets, readBytes, readToEnd } from "#test/support/pod-sockets.ts";
import { CLIENT, HBONE, PORT, RawHboneMesh } from "#test/support/raw-hbone-mesh.ts";
import { untilSettled } from "#test/support/ztunnel-view.ts";

const SERVER = "shop/web";
const FRIEND = "shop/friend";
const FAMILIES = ["ipv4", "ipv6"] as const;
/** Of the servers that are to see nothing. */
const OUTSIDE_PORT = 9090;

const UDP_PORT = 9091;
const UDP_ECHO = `
const socket = require("node:dgram").createSocket("udp4");
socket.on("message", (text, { port, address }) => socket.send(text, port, address));
socket.bind(${UDP_PORT}, () => console.log("bound"));
`;
const UDP_CALL = `
const socket = require("node:dgram").createSocket("udp4");
socket.on("message", (text) => { process.stdout.write(text); process.exit(0); });
setInterval(() => socket.send("hello", ${UDP_PORT}, process.argv[1]), 100);
`;

let mesh: RawHboneMesh;
/** The connections of one test. */
let sockets: PodSockets;

before(async () => {
  // Time enough for all that has to be seen before it is over, on a busy machine.
  mesh = await RawHboneMesh.start({ env: { CONNECTION_TERMINATION_DEADLINE: "10s" } });
  sockets = new PodSockets(mesh.cluster);
  mesh.onConnection = (socket) => void socket.pipe(socket);
});

afterEach(() => sockets[Symbol.dispose]());

after(() => mesh?.[Symbol.asyncDispose]());

const node2 = () => mesh.cluster.ztunnel("node2");

async function dial(from: string, port = PORT): Promise<net.Socket> {
  return sockets.dial(from, { ip: await mesh.cluster.podIp(SERVER), port });
}

async function assertEcho(socket: net.Socket, text: string): Promise<void> {
  socket.write(text);
  assert.equal(String(await readBytes(socket, text.length)), text);
}

/** How a new connection to the server ends, which the server itself would keep open. */
async function newConnection(from: string, port = PORT, family: "ipv4" | "ipv6" = "ipv4") {
  const ip = await mesh.cluster.podIp(SERVER, family);
  const { how, received } = await sockets.call(from, { ip, port }, "new");
  return String(received) === "new" ? "served" : how;
}

/** Waits until the process that was there is replaced by one that serves. */
async function untilReplaced(pid: number): Promise<void> {
  const { cluster } = mesh;
  await cluster.until("there is another ztunnel", async () => (await node2().pid()) !== pid);
  await cluster.until("it is ready", () => node2().isReady());
  await untilSettled(cluster);
  await cluster.until("it serves", async () => (await newConnection(FRIEND)) === "served");
}

interface ContainerStatus {
  readonly lastState: { readonly terminated?: { readonly exitCode: number } };
}

async function lastExitCode(): Promise<number | undefined> {
  const { status } = await mesh.cluster.pod("istio-system/ztunnel-node2");
  const { containerStatuses } = status as { containerStatuses: readonly ContainerStatus[] };
  return containerStatuses[0]?.lastState.terminated?.exitCode;
}

describe("a ztunnel that gets SIGTERM", () => {
  test("lets connections go on, says GOAWAY, takes no new ones, cuts at the deadline, exits 0", async () => {
    const pid = await node2().pid();
    const standing = await dial(FRIEND);
    await assertEcho(standing, "before");
    const session = await mesh.open("web", { certificate: mesh.leaf("friend") });
    const { stream } = await connectTo(session, await mesh.authorityOf("web"));
    const goaway = once(session, "goaway");

    await node2().kill("SIGTERM");
    assert.equal((await goaway)[0], constants.NGHTTP2_NO_ERROR);
    await assertEcho(standing, "while it drains");
    stream.write("so does a raw one");
    assert.equal(String((await once(stream, "data"))[0]), "so does a raw one");
    const ended = readToEnd(standing);
    const cut = new Promise((resolve) => stream.once("close", resolve));
    for (const port of [HBONE, PORT]) {
      assert.match(await newConnection(CLIENT, port), /^(ECONNREFUSED|reset)$/, `port ${port}`);
    }
    assert.equal(await node2().pid(), pid, "it is still the same process");

    assert.equal((await ended).how, "reset");
    await cut;
    session.destroy();
    await untilReplaced(pid);
    assert.equal(await lastExitCode(), 0);
  });

  test("with nothing to wait for ends at once, in good order", async () => {
    const pid = await node2().pid();
    await node2().kill("SIGTERM");
    await untilReplaced(pid);
    assert.equal(await lastExitCode(), 0);
  });
});

describe("while a ztunnel is down after kill -9", () => {
  test("connections that stood are over, and its pods are closed both ways", async () => {
    const { cluster } = mesh;
    let served = 0;
    await sockets.serve(CLIENT, OUTSIDE_PORT, (socket) => {
      served++;
      socket.end();
    });
    const plain = await dial(CLIENT);
    await assertEcho(plain, "plaintext is let in");
    const standing = await dial(FRIEND);
    await assertEcho(standing, "as is HBONE");
    const endings = Promise.all([readToEnd(standing), readToEnd(plain)]);
    await node2().stop();
    const [tunnelled, direct] = await endings;
    assert.equal(tunnelled.how, "reset");
    // The kernel closes a dead process's sockets, and knows no better than to say the end.
    assert.match(direct.how, /^(end|reset)$/);

    for (const family of FAMILIES) {
      const ip = await cluster.podIp(CLIENT, family);
      const { how } = await sockets.call(SERVER, { ip, port: OUTSIDE_PORT }, "secret");
      assert.match(how, /^(ECONNREFUSED|reset)$/, `out of the pod by ${family}`);
      for (const from of [CLIENT, FRIEND]) {
        const seen = await newConnection(from, PORT, family);
        assert.match(seen, /^(ECONNREFUSED|reset)$/, `into the pod from ${from} by ${family}`);
      }
    }
    assert.equal(served, 0, "nothing left the pod");
  });

  test("datagrams come and go: UDP is no matter of capture", async () => {
    const server = await mesh.cluster.spawn(CLIENT, ["node", "-e", UDP_ECHO]);
    await once(server.stdout, "data");
    const argv = ["node", "-e", UDP_CALL, await mesh.cluster.podIp(CLIENT)];
    assert.equal((await mesh.cluster.exec(SERVER, argv)).stdout, "hello");
    server.kill();
  });

  test("the pods are served again when it is back", async () => {
    await node2().start();
    await mesh.cluster.until("it serves", async () => (await newConnection(FRIEND)) === "served");
    assert.equal(await newConnection(CLIENT), "served");
  });

  test("its supervisor brings it back by itself (D4.74)", async () => {
    const pid = await node2().pid();
    await node2().kill("SIGKILL");
    await untilReplaced(pid);
  });
});
