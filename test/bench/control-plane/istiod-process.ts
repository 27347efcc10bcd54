/** An istiod-lite of its own for the bench: the real program on a folder of generated objects. */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { publicJwks, signServiceAccountToken } from "#common/tls/service-account-token.ts";
import { uidOf, ztunnelName } from "./mesh-objects.ts";

const REPOSITORY = join(import.meta.dirname, "../../..");
const TOKEN_TTL_S = 3_600;

export class IstiodProcess implements AsyncDisposable {
  readonly dir: string;
  /** From the start of the process until it served. */
  startSeconds = 0;
  xdsPort = 0;
  debugPort = 0;
  readonly #key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  #process: ChildProcess | undefined;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** Starts on these objects. Resolves when it serves. */
  static async start(objects: readonly KubernetesObject[]): Promise<IstiodProcess> {
    const istiod = new IstiodProcess(await mkdtemp(join(tmpdir(), "bench-istiod-")));
    await writeFile(istiod.#path("jwks.json"), JSON.stringify(await publicJwks(istiod.#key)));
    for (const object of objects) await istiod.put(object);
    await istiod.#start();
    return istiod;
  }

  get rootCertFile(): string {
    return this.#path("ca/root-cert.pem");
  }

  get procDir(): string {
    return `/proc/${this.#process?.pid}`;
  }

  /** Writes one object, as the stand-in for an API server does: whole or not at all. */
  async put(object: KubernetesObject): Promise<void> {
    const { namespace = "_", name } = object.metadata;
    const path = this.#path(`objects/${object.kind}/${namespace}/${name}.json`);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(this.#path("object.tmp"), JSON.stringify(object));
    await rename(this.#path("object.tmp"), path);
  }

  /** A token file of a node's ztunnel. */
  async tokenFile(node: string): Promise<string> {
    const path = this.#path(`token-${node}`);
    await writeFile(path, await this.token(node));
    return path;
  }

  token(node: string): Promise<string> {
    const podName = ztunnelName(node);
    const account = { namespace: "istio-system", serviceAccount: "ztunnel" };
    const claims = { ...account, podName, podUid: uidOf(podName), node };
    return signServiceAccountToken(this.#key, claims, TOKEN_TTL_S);
  }

  /** The value of a metric that has no labels, or the sum of its series. */
  async metric(name: string): Promise<number> {
    const answer = await fetch(`http://127.0.0.1:${this.debugPort}/metrics`);
    let sum = 0;
    for (const line of (await answer.text()).split("\n")) {
      const [, series, value] = /^(\w+)(?:\{.*\})? (\S+)$/.exec(line) ?? [];
      if (series === name) sum += Number(value);
    }
    return sum;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#process;
    if (child !== undefined && child.exitCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await rm(this.dir, { recursive: true });
  }

  #path(name: string): string {
    return join(this.dir, name);
  }

  async #start(): Promise<void> {
    const args = [
      ...["--source", `folder:${this.#path("objects")}`, "--ca-dir", this.#path("ca")],
      ...["--token-jwks", this.#path("jwks.json"), "--listen", "127.0.0.1"],
      ...["--xds-port", "0", "--debug-port", "0", "--log-format", "json"],
    ];
    const startedAt = performance.now();
    const program = join(REPOSITORY, "istiod-lite/main.ts");
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#process = child;
    for await (const line of createInterface({ input: child.stdout })) {
      const { message, xdsPort, debugPort } = JSON.parse(line) as Record<string, unknown>;
      if (message !== "istiod-lite serves") continue;
      this.startSeconds = (performance.now() - startedAt) / 1000;
      this.xdsPort = Number(xdsPort);
      this.debugPort = Number(debugPort);
      child.stdout.resume();
      return;
    }
    throw new MeshError("BENCH_FAILED", "istiod-lite ended before it served");
  }
}
