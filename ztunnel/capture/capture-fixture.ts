/** Test support: a capture manager at work on the pod of a namespace testbed. */
import assert from "node:assert/strict";
import fs from "node:fs";
import type net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { CapturedPod, PodReport, RepairReason } from "#common/model/captured-pod.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { CaptureManager } from "./capture-manager.ts";
import { HostProbes } from "./host-probes.ts";
import type { ListenerSink, PodListeners } from "./listener-sink.ts";
import { CLIENT_IPV4, type NamespaceTestbed, POD_IPV4, POD_IPV6 } from "./namespace-testbed.ts";
import { SandboxDirectoryFinder } from "./pod-netns.ts";
import { removeRules } from "./pod-rules.ts";

export const POD: CapturedPod = {
  uid: "11111111-2222-3333-4444-555555555555",
  name: "web-0",
  namespace: "shop",
  serviceAccount: "web",
  ips: [POD_IPV4, POD_IPV6],
  workloadUid: "Kubernetes//Pod/shop/web-0",
  bypassInboundCapture: false,
  dnsCapture: false,
};
export const APP_PORT = 8080;
const WAIT_MS = 10_000;

/** A proxy that says which port a connection came in on. */
export class AnsweringSink implements ListenerSink {
  readonly events: string[] = [];
  failNextAdd = false;
  /** While set, redirected connections are handed over and stay open. */
  hold: ((socket: net.Socket) => void) | undefined;
  readonly #bed: NamespaceTestbed;
  readonly #sockets = new Set<net.Socket>();
  readonly #servers = new Map<string, net.Server[]>();

  constructor(bed: NamespaceTestbed) {
    this.#bed = bed;
  }

  async add(pod: CapturedPod, _netns: unknown, listeners: PodListeners): Promise<void> {
    const ports = { outbound: 15001, inboundPlaintext: 15006, hbone: 15008 } as const;
    const servers: net.Server[] = [];
    const before = this.#servers.get(pod.uid) ?? [];
    this.#servers.set(pod.uid, servers);
    for (const kind of ["outbound", "inboundPlaintext", "hbone"] as const) {
      for (const fd of listeners[kind]) {
        const answer = (socket: net.Socket) => void socket.end(String(ports[kind]));
        const serve = (socket: net.Socket) => {
          this.#sockets.add(socket.once("close", () => this.#sockets.delete(socket)));
          (this.hold ?? answer)(socket);
        };
        servers.push(await this.#bed.serveDescriptor(fd, serve));
      }
    }
    if (this.failNextAdd) {
      this.failNextAdd = false;
      throw new Error("no worker");
    }
    for (const server of before) server.close();
    this.events.push(`add ${servers.length}`);
  }

  async remove(podUid: string): Promise<void> {
    const servers = this.#servers.get(podUid) ?? [];
    this.#servers.delete(podUid);
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
    this.events.push("remove");
  }

  /** One listener of the pod dies, and nobody is told. */
  async lose(podUid: string): Promise<void> {
    const server = this.#servers.get(podUid)?.shift();
    await new Promise((done) => server?.close(done));
  }
}

export class CaptureFixture {
  readonly bed: NamespaceTestbed;
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), "pod-sandboxes-"));
  readonly #checkIntervalMs: number;
  sink: AnsweringSink;
  manager: CaptureManager;
  reported: PodReport[] = [];
  readonly logged: string[] = [];

  constructor(bed: NamespaceTestbed, checkIntervalMs: number) {
    this.bed = bed;
    this.#checkIntervalMs = checkIntervalMs;
    this.sink = new AnsweringSink(bed);
    this.manager = this.#createManager();
  }

  /** A further process takes over; returns the old one's parts. */
  replace(): { manager: CaptureManager; sink: AnsweringSink } {
    const { manager, sink } = this;
    this.reported = [];
    this.sink = new AnsweringSink(this.bed);
    this.manager = this.#createManager();
    return { manager, sink };
  }

  async close(): Promise<void> {
    await this.manager.close();
    await this.sink.remove(POD.uid);
    await removeRules(this.bed, this.bed.pod.netns);
    await this.bed.nft(this.bed.pod, "flush ruleset\n");
    fs.rmSync(this.directory, { recursive: true });
  }

  sandbox(uid: string, pid: number): void {
    fs.writeFileSync(path.join(this.directory, uid), `${pid}\n`);
  }

  async capture(pod = POD): Promise<void> {
    this.sandbox(pod.uid, this.bed.pod.pid);
    this.manager.apply([pod], []);
    await this.reportedState("enabled");
  }

  async until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const deadline = Date.now() + WAIT_MS;
    while (!(await condition())) {
      if (Date.now() > deadline) {
        assert.fail(`${what}; reported: ${JSON.stringify(this.reported)}\n${this.logged.join("")}`);
      }
      await delay(10);
    }
  }

  reportedState(state: PodReport["state"], message = /^/): Promise<void> {
    return this.until(() => {
      const last = this.reported.at(-1);
      return last?.state === state && message.test(last.message);
    }, `waited for ${state} ${message}`);
  }

  repairs(reason: RepairReason): number {
    return this.manager.counters().repairs.get(reason) ?? 0;
  }

  untilRepaired(reason: RepairReason, count = 1): Promise<void> {
    return this.until(() => this.repairs(reason) >= count, `waited for a repair: ${reason}`);
  }

  /** Who answers the pod's own calls. */
  outbound(): Promise<string> {
    return this.bed.ask(this.bed.pod, { ip: CLIENT_IPV4, port: APP_PORT });
  }

  rulesOfPod(): Promise<string> {
    return this.bed.nft(this.bed.pod, "list ruleset\n");
  }

  #createManager(): CaptureManager {
    const { bed } = this;
    const write = (line: string) => void this.logged.push(line);
    return new CaptureManager({
      sys: bed.sys,
      netlink: bed.netlink,
      finder: new SandboxDirectoryFinder(bed.sys, this.directory),
      sink: this.sink,
      probes: new HostProbes(bed.sys, bed.node.netns),
      log: createLogger({ level: "warn", format: "text", write }),
      workers: 2,
      report: (changes) => this.reported.push(...changes),
      checkIntervalMs: this.#checkIntervalMs,
    });
  }
}
