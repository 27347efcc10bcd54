import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { connectSeqpacket, type SeqpacketConnection } from "#ztunnel/sys/seqpacket.ts";
import { serveZds } from "./zds-server.ts";

const HELLO = Buffer.from([0x08, 1]); // ZdsHello{version: V1}
const ACK = Buffer.from([0x0a, 0]); // WorkloadResponse{ack: Ack{}}

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "zds-"));
});
afterEach(() => fs.rmSync(dir, { recursive: true }));

async function greet(): Promise<SeqpacketConnection> {
  const ztunnel = connectSeqpacket(path.join(dir, "s"));
  await ztunnel.send(HELLO);
  return ztunnel;
}

function somePod() {
  const netnsFd = fs.openSync("/proc/self/ns/net", "r");
  return { uid: "u1", name: "web", namespace: "shop", serviceAccount: "sa", netnsFd };
}

test("gives each pod with its namespace, then says that that was all", async () => {
  const pod = somePod();
  const server = serveZds(path.join(dir, "s"), [pod]);
  const ztunnel = await greet();
  const add = await ztunnel.receive();
  // WorkloadRequest{add: {uid: "u1", workload_info: {name, namespace, service_account}}}
  assert.equal(
    add?.data.toString("latin1"),
    "\n\x15\n\x02u1\x12\x0f\n\x03web\x12\x04shop\x1a\x02sa",
  );
  assert.ok(add.fd !== undefined);
  assert.equal(fs.fstatSync(add.fd).ino, fs.fstatSync(pod.netnsFd).ino);
  await ztunnel.send(ACK);
  assert.deepEqual((await ztunnel.receive())?.data, Buffer.from([0x1a, 0])); // snapshot_sent
  await ztunnel.send(ACK);
  await server.served;
  for (const fd of [add.fd, pod.netnsFd]) fs.closeSync(fd);
  ztunnel.close();
  server.close();
});

test("a refused pod is told with ztunnel's own words", async () => {
  const pod = somePod();
  const server = serveZds(path.join(dir, "s"), [pod]);
  const ztunnel = await greet();
  const { fd = -1 } = (await ztunnel.receive()) ?? {};
  await ztunnel.send(Buffer.from("\n\x09\n\x07no such"));
  await assert.rejects(server.served, { code: "ZDS_REFUSED", message: /shop\/web: .*no such/ });
  for (const open of [fd, pod.netnsFd]) fs.closeSync(open);
  ztunnel.close();
  server.close();
});

test("a server that is closed before anybody came says so to who waits", async () => {
  const server = serveZds(path.join(dir, "s"), []);
  setTimeout(() => server.close(), 10);
  await assert.rejects(server.served, { code: "ZDS_CLOSED" });
});
