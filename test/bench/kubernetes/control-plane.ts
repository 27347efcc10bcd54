/** The istiod-lite that is measured: the real program, reading from the API server. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { getObject } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { ISTIO_CA_AUDIENCE } from "#common/tls/service-account-token.ts";
import { waitFor } from "#test/kubernetes/harness/wait-for.ts";
import type { MeasuredControlPlane } from "../control-plane/measured-client.ts";
import { ztunnelName } from "../control-plane/mesh-objects.ts";

const PROGRAM = join(import.meta.dirname, "../../../istiod-lite/main.ts");
const ROOT = { kind: "ConfigMap", namespace: "istio-system", name: "istio-ca-root-cert" };

/** Of its log, told where it ends unasked. */
const LINES_KEPT = 20;

export class MeasuredIstiod implements MeasuredControlPlane, AsyncDisposable {
  /** From the start of the process until it served. */
  startSeconds = 0;
  xdsPort = 0;
  readonly #client: KubeClient;
  readonly #dir: string;
  #process: ChildProcess | undefined;

  private constructor(client: KubeClient, dir: string) {
    this.#client = client;
    this.#dir = dir;
  }

  /** Resolves when it serves. */
  static async start(client: KubeClient, kubeconfig: string): Promise<MeasuredIstiod> {
    const istiod = new MeasuredIstiod(client, await mkdtemp(join(tmpdir(), "bench-istiod-")));
    await istiod.#start(kubeconfig);
    const { data } = await waitFor("the root certificate", () => {
      return getObject<{ readonly data: Readonly<Record<string, string>> }>(client, ROOT);
    });
    await writeFile(istiod.rootCertFile, data["root-cert.pem"] ?? "");
    return istiod;
  }

  get rootCertFile(): string {
    return join(this.#dir, "root-cert.pem");
  }

  get procDir(): string {
    return `/proc/${this.#process?.pid}`;
  }

  /** A token of a node's ztunnel, as its kubelet would ask for it. */
  async tokenFile(node: string): Promise<string> {
    const name = ztunnelName(node);
    const namespace = "istio-system";
    const pod = (await getObject(this.#client, { kind: "Pod", namespace, name })) as {
      metadata: { uid: string };
    };
    const boundObjectRef = { apiVersion: "v1", kind: "Pod", name, uid: pod.metadata.uid };
    const spec = { audiences: [ISTIO_CA_AUDIENCE], expirationSeconds: 3_600, boundObjectRef };
    const answer = (await this.#client.request({
      method: "POST",
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/ztunnel/token`,
      body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec },
    })) as { status: { token: string } };
    const path = join(this.#dir, `token-${node}`);
    await writeFile(path, answer.status.token);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#process;
    if (child !== undefined && child.exitCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await rm(this.#dir, { recursive: true });
  }

  async #start(kubeconfig: string): Promise<void> {
    const args = [
      ...["--source", `kubernetes:${kubeconfig}`, "--listen", "127.0.0.1"],
      ...["--xds-port", "0", "--debug-port", "0", "--log-format", "json"],
    ];
    const startedAt = performance.now();
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#process = child;
    this.xdsPort = await this.#untilItServes(child);
    this.startSeconds = (performance.now() - startedAt) / 1000;
  }

  /** The port. An end that nobody asked for is told whenever it comes. */
  #untilItServes(child: ChildProcess): Promise<number> {
    const lines: string[] = [];
    return new Promise((resolve, reject) => {
      child.once("exit", (code, signal) => {
        if (signal === "SIGKILL") return;
        const message = `istiod-lite ended with ${code ?? signal}: ${lines.join("\n")}`;
        console.error(message);
        reject(new MeshError("BENCH_FAILED", message));
      });
      createInterface({ input: child.stdout as Readable }).on("line", (line) => {
        lines.push(line);
        if (lines.length > LINES_KEPT) lines.shift();
        const { message, xdsPort } = JSON.parse(line) as Record<string, unknown>;
        if (message === "istiod-lite serves") resolve(Number(xdsPort));
      });
    });
  }
}
