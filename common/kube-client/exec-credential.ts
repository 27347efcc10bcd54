/**
 * Credentials that a program gives, as cloud providers' plugins do. Source:
 * client.authentication.k8s.io/v1 ExecCredential.
 */

import { spawn } from "node:child_process";
import { isAbsolute, resolve } from "node:path";
import { configError, type Entry, textField } from "#common/kube-client/kubeconfig-file.ts";
import {
  EXEC_EARLY_MS,
  EXEC_OUTPUT_BYTES,
  EXEC_RETRY_MS,
  EXEC_TIMEOUT_MS,
} from "#common/kube-client/limits.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";

const VERSIONS = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

export interface ExecCredential {
  readonly token?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Milliseconds; Infinity where the plugin does not say. */
  readonly expiresMs: number;
}

interface Plugin {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly apiVersion: string;
  readonly installHint: string | undefined;
  readonly input: string;
}

export interface ExecDeps {
  /** Milliseconds. */
  readonly now: () => number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
}

/** Runs the plugin when nothing valid is remembered; one run at a time. */
export class ExecPlugin {
  readonly #plugin: Plugin;
  readonly #deps: ExecDeps;
  #running: Promise<ExecCredential> | undefined;
  #last: ExecCredential | undefined;
  #ranMs = Number.NEGATIVE_INFINITY;
  #failure: { readonly error: unknown; readonly ms: number } | undefined;

  /** Throws MeshError KUBECONFIG where the entry says nothing that can be run. */
  constructor(user: Entry, cluster: Entry, deps: ExecDeps) {
    this.#plugin = readPlugin(user, cluster);
    this.#deps = deps;
  }

  /** Throws MeshError KUBE_CREDENTIALS. */
  async credential(): Promise<ExecCredential> {
    const now = this.#deps.now();
    const last = this.#last;
    // One that gives what has expired is not run for every request.
    const isNew = now - this.#ranMs < EXEC_RETRY_MS;
    if (last !== undefined && (isNew || now < last.expiresMs - EXEC_EARLY_MS)) return last;
    if (this.#failure !== undefined && now - this.#failure.ms < EXEC_RETRY_MS) {
      throw this.#failure.error;
    }
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** What is remembered was refused. */
  forget(): void {
    this.#last = undefined;
  }

  async #run(): Promise<ExecCredential> {
    const { command, installHint, apiVersion } = this.#plugin;
    try {
      const output = await runPlugin(this.#plugin, this.#deps);
      this.#last = parseCredential(output, apiVersion);
      this.#ranMs = this.#deps.now();
      this.#failure = undefined;
      return this.#last;
    } catch (cause) {
      const error = new MeshError("KUBE_CREDENTIALS", `the plugin ${command} gave no credentials`, {
        cause,
        hint: installHint ?? `run it by hand: ${command}`,
      });
      this.#failure = { error, ms: this.#deps.now() };
      throw error;
    }
  }
}

function readPlugin(user: Entry, cluster: Entry): Plugin {
  const entry = { ...user, fields: user.fields.exec as Entry["fields"] };
  const command = textField(entry, "command");
  const apiVersion = textField(entry, "apiVersion") ?? "";
  const { args = [], env = [], interactiveMode } = entry.fields;
  if (command === undefined) throw configError(`exec of ${user.name} has no command`, "add it");
  if (!VERSIONS.includes(apiVersion)) {
    const hint = `write apiVersion: ${VERSIONS[0]}, or update the plugin`;
    throw configError(`exec of ${user.name} is of apiVersion ${JSON.stringify(apiVersion)}`, hint);
  }
  if (interactiveMode === "Always") {
    const hint = "use a plugin, or a mode of it, that needs nobody to type";
    throw configError(`exec of ${user.name} wants a terminal, and is given none`, hint);
  }
  const isPath = command.includes("/") && !isAbsolute(command);
  return {
    command: isPath ? resolve(user.folder, command) : command,
    args: textList(args ?? [], `exec.args of ${user.name}`),
    env: variables(env ?? [], user.name),
    apiVersion,
    installHint: textField(entry, "installHint"),
    input: inputOf(apiVersion, entry.fields.provideClusterInfo === true ? cluster : undefined),
  };
}

/** What the plugin finds in KUBERNETES_EXEC_INFO. */
function inputOf(apiVersion: string, cluster: Entry | undefined): string {
  const { fields = {} } = cluster ?? {};
  const info = cluster && {
    server: fields.server,
    "tls-server-name": fields["tls-server-name"],
    "insecure-skip-tls-verify": fields["insecure-skip-tls-verify"],
    "certificate-authority-data": fields["certificate-authority-data"],
  };
  const spec = { interactive: false, ...(info && { cluster: info }) };
  return JSON.stringify({ apiVersion, kind: "ExecCredential", spec });
}

function textList(value: unknown, what: string): readonly string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw configError(`${what} must be a list of texts`, "quote each of them");
}

function variables(value: unknown, user: string): Readonly<Record<string, string>> {
  const list: readonly unknown[] = Array.isArray(value) ? value : [undefined];
  const pairs = list.map((item) => {
    if (isJsonObject(item) && typeof item.name === "string" && typeof item.value === "string") {
      return [item.name, item.value] as const;
    }
    throw configError(`exec.env of ${user} must be a list of name and value`, "quote each value");
  });
  return Object.fromEntries(pairs);
}

function runPlugin(plugin: Plugin, deps: ExecDeps): Promise<string> {
  const { timeoutMs = EXEC_TIMEOUT_MS } = deps;
  const env = { ...deps.env, ...plugin.env, KUBERNETES_EXEC_INFO: plugin.input };
  const child = spawn(plugin.command, plugin.args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const { promise, resolve: done, reject } = Promise.withResolvers<string>();
  const output: Buffer[] = [];
  let errors = "";
  let bytes = 0;
  const fail = (why: string): void => {
    child.kill("SIGKILL");
    // A grandchild may hold them open.
    child.stdout.destroy();
    child.stderr.destroy();
    reject(new Error(why));
  };
  const timer = setTimeout(() => fail(`it did not end within ${timeoutMs} ms`), timeoutMs);
  child.stdout.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > EXEC_OUTPUT_BYTES) fail(`it said more than ${EXEC_OUTPUT_BYTES} bytes`);
    else output.push(chunk);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    if (errors.length < 1_024) errors += chunk.toString("utf8").slice(0, 1_024);
  });
  child.on("error", reject);
  child.on("close", (code, signal) => {
    if (code === 0) done(Buffer.concat(output).toString("utf8"));
    else reject(new Error(`it ended with ${code ?? signal}: ${errors.trim()}`));
  });
  return promise.finally(() => clearTimeout(timer));
}

function parseCredential(output: string, apiVersion: string): ExecCredential {
  const value = parseObject(output);
  if (value.kind !== "ExecCredential" || value.apiVersion !== apiVersion) {
    throw new Error(`it answered with ${value.apiVersion} ${value.kind}, not ${apiVersion}`);
  }
  const status = isJsonObject(value.status) ? value.status : {};
  const text = (key: string): string | undefined => {
    const given = status[key];
    return typeof given === "string" && given !== "" ? given : undefined;
  };
  const [token, cert, key] = [text("token"), text("clientCertificateData"), text("clientKeyData")];
  if (token === undefined && cert === undefined) throw new Error("it gave no token or certificate");
  if ((cert === undefined) !== (key === undefined)) throw new Error("it gave half of a key pair");
  const expires = text("expirationTimestamp");
  const expiresMs = expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires);
  if (Number.isNaN(expiresMs)) throw new Error("its expirationTimestamp is no time");
  return { token, cert, key, expiresMs };
}

function parseObject(output: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(output);
    if (isJsonObject(value)) return value;
  } catch (error) {
    throw new Error(`it answered with no JSON: ${describeError(error)}`, { cause: error });
  }
  throw new Error("it answered with no object");
}
