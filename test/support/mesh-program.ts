/** The programs of the mesh in a test's cluster: to be looked into, killed and started again. */
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import type { IpAddress } from "#common/model/ip.ts";
import { ADMIN_PORT, METRICS_PORT, READINESS_PORT } from "#common/model/ports.ts";
import type { ControlClient } from "#meshctl/local/control/client.ts";
import { connectFrom } from "#meshctl/local/network/netns-socket.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";

const NAMESPACE = "istio-system";
const LOOPBACK = "127.0.0.1" as IpAddress;
/** Made once: the addresses of a thread's system calls do not change. */
let syscalls: ReturnType<typeof createLinuxSyscalls> | undefined;

export class MeshProgram {
  protected readonly client: ControlClient;
  /** As a pod of istio-system. */
  readonly name: string;

  constructor(client: ControlClient, name: string) {
    this.client = client;
    this.name = name;
  }

  /** The process as the cluster's init sees it; throws while it is down. */
  async pid(): Promise<number> {
    const { sandboxPid } = await this.client.pod(NAMESPACE, this.name);
    if (sandboxPid === undefined) throw new Error(`${this.name} is down`);
    return sandboxPid;
  }

  /** Its directory in /proc, as seen from here: `status`, `fd`, `stat`. */
  async procDir(): Promise<string> {
    return this.client.outside(`/proc/${await this.pid()}`);
  }

  async logs(): Promise<string> {
    const { containers } = await this.client.pod(NAMESPACE, this.name);
    return readFile(this.client.outside(containers[0]?.log ?? ""), "utf8");
  }

  /** Sends a signal; what ends is started again by the cluster. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.client.meshProcess(this.name, { action: "signal", signal });
  }

  /** Ends it at once and keeps it down. */
  async stop(): Promise<void> {
    await this.client.meshProcess(this.name, { action: "stop" });
  }

  /** Has a new one take over, then lets the old one drain; resolves when the new one has. */
  async replace(env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.client.meshProcess(this.name, { action: "replace", env });
  }

  /** Starts it after `stop`, with these variables added to its environment. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.client.meshProcess(this.name, { action: "start", env });
  }
}

export class ZtunnelProgram extends MeshProgram {
  readonly #netns: () => Promise<string>;

  constructor(client: ControlClient, name: string, netns: () => Promise<string>) {
    super(client, name);
    this.#netns = netns;
  }

  /** Prometheus text. */
  metrics(): Promise<string> {
    return this.get(METRICS_PORT, "/metrics");
  }

  /** The sum over all series of a metric whose labels contain these. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    let sum = 0;
    for (const line of (await this.metrics()).split("\n")) {
      const [, series, own = "", value] = /^(\w+)(\{.*\})? (\S+)$/.exec(line) ?? [];
      if (series === name && wanted.every((label) => own.includes(label))) sum += Number(value);
    }
    return sum;
  }

  async configDump(): Promise<unknown> {
    return JSON.parse(await this.get(ADMIN_PORT, "/config_dump"));
  }

  /** Whether it says that it is ready; false while it is down. */
  async isReady(): Promise<boolean> {
    return this.get(READINESS_PORT, "/healthz/ready").then(
      () => true,
      () => false,
    );
  }

  /** The body of an answer with status 200 from a port of the node's loopback. */
  async get(port: number, path: string): Promise<string> {
    syscalls ??= createLinuxSyscalls();
    const sys = syscalls;
    const netns = sys.openNetns(await this.#netns());
    try {
      return await new Promise((resolve, reject) => {
        const createConnection = () => connectFrom(sys, netns, LOOPBACK, port);
        const outgoing = request({ path, createConnection }, (response) => {
          let body = "";
          response.setEncoding("utf8").on("data", (text: string) => {
            body += text;
          });
          response.on("end", () => {
            if (response.statusCode === 200) resolve(body);
            else reject(new Error(`${path} answered ${response.statusCode}: ${body}`));
          });
        });
        outgoing.on("error", reject);
        outgoing.end();
      });
    } finally {
      sys.closeNetns(netns);
    }
  }
}
