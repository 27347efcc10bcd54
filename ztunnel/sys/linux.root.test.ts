import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { IpAddress } from "#common/model/ip.ts";
import { createLinuxSyscalls } from "./linux.ts";
import type { Netns } from "./syscalls.ts";

const ANY = "::" as IpAddress;
const ANY_IPV4 = "0.0.0.0" as IpAddress;
const PORT = 15001;
const OWN_NETNS = fs.readlinkSync("/proc/self/ns/net");
const LINE_OF_WORKER = `
  import { parentPort, workerData } from "node:worker_threads";
  import fs from "node:fs";
  const { createLinuxSyscalls } = await import(workerData.module);
  const sys = createLinuxSyscalls();
  const netns = sys.openNetns(workerData.path);
  const link = () => fs.readlinkSync("/proc/thread-self/ns/net");
  parentPort.postMessage([sys.inNetns(netns, link), link()]);
`;

describe("Linux's system calls", () => {
  const sys = createLinuxSyscalls();
  let child: ChildProcess;
  let netns: Netns;
  let netnsPath: string;
  const here = () => fs.readlinkSync("/proc/thread-self/ns/net");
  const options = { ip: ANY, port: PORT, backlog: 8, reusePort: true, mark: 0x539 };

  before(async () => {
    child = spawn("unshare", ["--net", "sleep", "60"], { stdio: "ignore" });
    netnsPath = `/proc/${child.pid}/ns/net`;
    while (fs.readlinkSync(netnsPath) === OWN_NETNS) await delay(5);
    netns = sys.openNetns(netnsPath);
    const ip = sys.inNetns(netns, () => spawn("ip", ["link", "set", "lo", "up"]));
    await once(ip, "exit");
  });

  after(() => {
    sys.closeNetns(netns);
    child.kill("SIGKILL");
  });

  it("run an action inside a namespace and come back, nested or by a throw", () => {
    const own = sys.openNetns("/proc/self/ns/net");
    assert.notEqual(own.id, netns.id);
    const seen = sys.inNetns(netns, () => [here(), sys.inNetns(own, here), here()]);
    assert.deepEqual(seen, [`net:[${netns.id.split(":")[1]}]`, OWN_NETNS, seen[0]]);
    const fail = () => {
      throw new Error("inside");
    };
    assert.throws(() => sys.inNetns(netns, fail), /inside/);
    assert.equal(here(), OWN_NETNS);
    sys.closeNetns(own);
  });

  it("give the same id to two handles of one namespace", () => {
    const again = sys.openNetns(netnsPath);
    assert.equal(again.id, netns.id);
    sys.closeNetns(again);
  });

  it("name the error of a namespace that is not there", () => {
    assert.throws(() => sys.openNetns("/proc/0/ns/net"), { name: "MeshError", code: "ENOENT" });
    assert.throws(() => sys.inNetns({ fd: 0, id: "stdin" }, here), { code: "EINVAL" });
    assert.equal(here(), OWN_NETNS);
  });

  it("move only the calling thread, in a worker too", async () => {
    const module = new URL("./linux.ts", import.meta.url).href;
    const url = new URL(`data:text/javascript,${encodeURIComponent(LINE_OF_WORKER)}`);
    const worker = new Worker(url, { workerData: { module, path: netnsPath } });
    const [links] = await once(worker, "message");
    assert.deepEqual(links, [`net:[${netns.id.split(":")[1]}]`, OWN_NETNS]);
    assert.equal(here(), OWN_NETNS);
    await worker.terminate();
  });

  it("listen inside a namespace for IPv4 and IPv6, several listeners side by side", async () => {
    const fds = sys.inNetns(netns, () => [sys.listenTcp(options), sys.listenTcp(options)]);
    const servers = fds.map((fd) => net.createServer((socket) => socket.end()).listen({ fd }));
    for (const [family, host] of [
      ["ipv4", "127.0.0.1"],
      ["ipv6", "::1"],
    ] as const) {
      const fd = sys.inNetns(netns, () => sys.openTcpSocket({ family, mark: 0 }));
      const socket = new net.Socket({ fd }).connect({ host, port: PORT });
      await once(socket, "connect");
      socket.destroy();
    }
    const alone = { ...options, ip: ANY_IPV4, reusePort: false };
    assert.throws(() => sys.inNetns(netns, () => sys.listenTcp(alone)), { code: "EADDRINUSE" });
    for (const server of servers) server.close();
  });

  it("leak no descriptor when a socket cannot be set up", () => {
    const count = () => fs.readdirSync("/proc/self/fd").length;
    const before = count();
    const foreign = { ...options, ip: "192.0.2.1" as IpAddress };
    for (let i = 0; i < 5; i++) {
      assert.throws(() => sys.listenTcp(foreign), { code: "EADDRNOTAVAIL" });
    }
    assert.equal(count(), before);
  });

  it("see the nftables generation grow with every change of the namespace's rules", async () => {
    const read = () => sys.inNetns(netns, () => sys.nftGeneration());
    const before = read();
    assert.equal(read(), before);
    const nft = sys.inNetns(netns, () => spawn("nft", ["add", "table", "inet", "x"]));
    await once(nft, "exit");
    assert.ok(read() > before);
  });
});
