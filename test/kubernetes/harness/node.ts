/** One node: its namespaces, containerd, kubelet and kube-proxy, and what can befall them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunOptions, RunResult } from "#test/support/run.ts";
import { nodeAddress, nodeAddressV6 } from "./addresses.ts";
import { API_SERVER_URL, type ControlPlane } from "./control-plane.ts";
import { Daemon } from "./daemon.ts";
import { linkNode } from "./links.ts";
import { Namespaces } from "./namespaces.ts";
import { CONTAINERD_SOCKET, type NodePlace, nodeFiles, nodeSetup } from "./node-setup.ts";
import type { Site } from "./site.ts";
import { waitFor } from "./wait-for.ts";

/** containerd unpacks an image with a whole Node in it, on a machine that may be slow. */
const IMPORT_TIMEOUT_MS = 300_000;

interface Running {
  readonly namespaces: Namespaces;
  readonly containerd: Daemon;
  readonly kubelet: Daemon;
  readonly kubeProxy: Daemon;
}

export class KubernetesNode {
  readonly name: string;
  readonly address: string;
  readonly #place: NodePlace;
  readonly #controlPlane: ControlPlane;
  #running: Running | undefined;

  /** `index` is 1 or 2; nothing runs yet. */
  constructor(site: Site, index: number, controlPlane: ControlPlane) {
    this.name = `node${index}`;
    this.address = nodeAddress(index);
    this.#place = { site, index, name: this.name, disk: join(site.runFolder, this.name) };
    this.#controlPlane = controlPlane;
  }

  get namespaces(): Namespaces {
    return this.#now().namespaces;
  }

  get containerd(): Daemon {
    return this.#now().containerd;
  }

  get kubelet(): Daemon {
    return this.#now().kubelet;
  }

  get kubeProxy(): Daemon {
    return this.#now().kubeProxy;
  }

  /** A disk with nothing on it, and everything started; resolves when the kubelet runs. */
  async create(images: readonly string[]): Promise<void> {
    const { site, disk } = this.#place;
    mkdirSync(disk);
    for (const [file, text] of Object.entries(nodeFiles(this.#place))) {
      writeFileSync(join(disk, file), text);
    }
    await site.pki.createNode(this.name);
    await site.pki.writeKubeconfig(this.name, API_SERVER_URL);
    await this.#boot(images);
  }

  /**
   * Power off and on: every process ends at once, all namespaces and /run are gone, the disk stays.
   * Resolves when the kubelet runs again, which is before the API server knows.
   */
  async reboot(): Promise<void> {
    await this.powerOff();
    await this.#boot([]);
  }

  async powerOff(): Promise<void> {
    await this.namespaces.end();
    this.#running = undefined;
  }

  powerOn(): Promise<void> {
    return this.#boot([]);
  }

  /** Resolves when it answers again: without it a kubelet would not start. Pods run on. */
  async restartContainerd(): Promise<void> {
    await this.containerd.restart();
    await this.#containerdAnswers();
  }

  async importImage(tar: string): Promise<void> {
    await this.#ctr(["images", "import", tar]);
  }

  /** Runs a command on the node itself. */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult> {
    return this.namespaces.run(argv, options);
  }

  async #boot(images: readonly string[]): Promise<void> {
    const { site, disk } = this.#place;
    const setup = nodeSetup(this.#place);
    const place = { name: this.name, clusterName: site.name, runFolder: site.runFolder, setup };
    // The setup waits for the link, which needs the namespaces.
    const namespaces = await Namespaces.start(place, (started) =>
      linkNode(this.#controlPlane.namespaces, started),
    );
    const daemon = (name: string, program: string, args: readonly string[]) =>
      new Daemon(`${this.name}-${name}`, namespaces, [
        "env",
        `PATH=${this.#path()}`,
        site.tools.program(program),
        ...args,
      ]);
    this.#running = {
      namespaces,
      containerd: daemon("containerd", "containerd", ["-c", join(disk, "containerd.toml")]),
      kubelet: daemon("kubelet", "kubelet", this.#kubeletArguments()),
      kubeProxy: daemon("kube-proxy", "kube-proxy", [`--config=${join(disk, "kube-proxy.yaml")}`]),
    };
    this.containerd.start();
    this.kubeProxy.start();
    await this.#containerdAnswers();
    for (const tar of images) await this.importImage(tar);
    this.kubelet.start();
  }

  async #containerdAnswers(): Promise<void> {
    await waitFor(`containerd on ${this.name}`, () => this.#ctr(["version"]));
  }

  #kubeletArguments(): string[] {
    const { site, disk } = this.#place;
    return [
      `--config=${join(disk, "kubelet.yaml")}`,
      `--kubeconfig=${site.pki.path(`${this.name}.kubeconfig`)}`,
      `--hostname-override=${this.name}`,
      `--node-ip=${this.address},${nodeAddressV6(this.#place.index)}`,
      "--root-dir=/var/lib/kubelet",
      "--cert-dir=/var/lib/kubelet/pki",
      "--v=2",
    ];
  }

  /** containerd looks for its shims and runc there. */
  #path(): string {
    const { program, runc } = this.#place.site.tools;
    const own = [program("."), join(runc, "..")];
    return [...own, process.env.PATH, "/usr/sbin", "/sbin"].join(":");
  }

  #ctr(args: readonly string[]): Promise<string> {
    const program = this.#place.site.tools.program("ctr");
    const argv = [program, "-a", CONTAINERD_SOCKET, "-n", "k8s.io", ...args];
    return this.namespaces.check(argv, { timeoutMs: IMPORT_TIMEOUT_MS });
  }

  #now(): Running {
    if (this.#running === undefined) throw new Error(`${this.name} is off`);
    return this.#running;
  }
}
