/**
 * The demo's cluster and its hands: a folder to edit, commands to run and show, a capture of the
 * fabric.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { MeshError } from "#common/runtime/errors.ts";
import { DEMO_COMMAND_TIMEOUT_MS, DEMO_WAIT_MS } from "#meshctl/limits.ts";
import { type ClusterProcess, startClusterProcess } from "#meshctl/local/cluster-process.ts";
import type { ClusterEvent } from "#meshctl/local/events.ts";

const MESHCTL = fileURLToPath(new URL("../main.ts", import.meta.url));
const SAMPLE = fileURLToPath(new URL("../../manifests/samples/shop", import.meta.url));

export interface CommandResult {
  readonly exitCode: number;
  /** Standard output and standard error, as they came. */
  readonly output: string;
}

export class Stage {
  readonly #cluster: ClusterProcess;
  readonly name: string;

  private constructor(cluster: ClusterProcess, name: string) {
    this.#cluster = cluster;
    this.name = name;
  }

  /** Starts a cluster of the sample shop with nothing of it in the mesh yet. */
  static async start(onEvent: (event: ClusterEvent) => void): Promise<Stage> {
    // The process id keeps the demo apart from clusters that run already, and from another demo.
    const name = `demo-${process.pid}`;
    const cluster = await startClusterProcess({ name, mesh: true, detached: false }, onEvent);
    const stage = new Stage(cluster, name);
    for (const file of await readdir(SAMPLE)) {
      const text = await readFile(join(SAMPLE, file), "utf8");
      await stage.#write(file, text.replace(/\n +labels:\n +istio.io\/dataplane-mode: .*\n/, "\n"));
    }
    await cluster.client.refresh();
    return stage;
  }

  stop(): Promise<void> {
    return this.#cluster.stop();
  }

  /** Resolves when the cluster has ended, whoever ended it. */
  get ended(): Promise<void> {
    return this.#cluster.ended;
  }

  /** The folder that the cluster follows, as seen from here. */
  get folder(): string {
    return this.#cluster.client.paths.folder;
  }

  /** Writes a file of the folder; what it says is on its way when this resolves. */
  async apply(file: string, yaml: string): Promise<void> {
    await this.#write(file, yaml);
    await this.#cluster.client.refresh();
  }

  /** Adds the label that takes a namespace into the mesh, in the file that has the namespace. */
  async enrol(namespaces: readonly string[]): Promise<void> {
    for (const namespace of namespaces) {
      const file = `${namespace}.yaml`;
      const text = await readFile(join(this.folder, file), "utf8");
      const label = "  labels:\n    istio.io/dataplane-mode: ambient\n";
      await this.#write(
        file,
        text.replace(/(kind: Namespace\nmetadata:\n {2}name: .*\n)/, `$1${label}`),
      );
    }
    await this.#cluster.client.refresh();
  }

  /** `meshctl ARGS`, as a person would run it beside this cluster. */
  meshctl(args: readonly string[]): Promise<CommandResult> {
    return run(process.execPath, [MESHCTL, ...args], { MESHCTL_CLUSTER: this.name });
  }

  /** The lines of a pod's log that match, as soon as there are any. */
  async logLines(pod: string, namespace: string, wanted: RegExp): Promise<readonly string[]> {
    let lines: readonly string[] = [];
    await this.waitFor(`${pod} has logged ${wanted}`, async () => {
      const { output } = await this.meshctl(["logs", pod, "-n", namespace]);
      lines = output.split("\n").filter((line) => wanted.test(line));
      return lines.length > 0;
    });
    return lines;
  }

  /** Runs `argv` in the network of a node's ztunnel, with the machine's own files. */
  async onNode(node: string, argv: readonly string[]): Promise<CommandResult> {
    const info = await this.#cluster.client.info();
    const pid = info.nodes.find((candidate) => candidate.name === node)?.pid;
    return this.#inNetns(pid, argv);
  }

  /** Runs `argv` in a pod's network, with the machine's own files. */
  async onPod(namespace: string, name: string, argv: readonly string[]): Promise<CommandResult> {
    const { sandboxPid } = await this.#cluster.client.pod(namespace, name);
    return this.#inNetns(sandboxPid, argv);
  }

  /**
   * Records what crosses the fabric between the nodes while `action` runs; returns tcpdump's text.
   */
  async capture(action: () => Promise<unknown>): Promise<string> {
    const netns = `/proc/${this.#cluster.client.initPid}/ns/net`;
    const filter = "tcp and not port 15012";
    const args = ["tcpdump", "-i", "any", "-l", "-n", "-A", "-s", "0", "-U", filter];
    const dump = spawn("nsenter", [`--net=${netns}`, "--", ...args]);
    let output = "";
    let messages = "";
    dump.stdout.setEncoding("latin1").on("data", (text: string) => {
      output += text;
    });
    dump.stderr.setEncoding("utf8").on("data", (text: string) => {
      messages += text;
    });
    const ended = once(dump, "exit");
    await this.waitFor("tcpdump listens", () => messages.includes("listening on"));
    await action();
    // The kernel hands packets over in batches, a second apart at most.
    await sleep(1_200);
    dump.kill("SIGINT");
    await ended;
    return output;
  }

  /** Polls until `check` says yes. Throws MeshError DEMO_TIMEOUT naming what was waited for. */
  async waitFor(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
    const until = Date.now() + DEMO_WAIT_MS;
    while (!(await check())) {
      if (Date.now() > until) {
        const logs = "meshctl logs istiod -n istio-system";
        const hint = `look at the logs: MESHCTL_CLUSTER=${this.name} ${logs}`;
        throw new MeshError("DEMO_TIMEOUT", `waited in vain until ${what}`, { hint });
      }
      await sleep(50);
    }
  }

  #inNetns(pid: number | undefined, argv: readonly string[]): Promise<CommandResult> {
    const netns = `${this.#cluster.client.outside("/proc")}/${pid}/ns/net`;
    return run("nsenter", [`--net=${netns}`, "--", ...argv]);
  }

  #write(file: string, text: string): Promise<void> {
    return writeFile(join(this.folder, file), text);
  }
}

function run(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, timeout: DEMO_COMMAND_TIMEOUT_MS };
    execFile(file, [...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ exitCode: code, output: stdout + stderr });
    });
  });
}
