/** The connection that a context of a kubeconfig describes. What it cannot do, it refuses aloud. */

import { isAbsolute, resolve } from "node:path";
import { CredentialFile } from "#common/kube-client/credential-file.ts";
import { ExecPlugin } from "#common/kube-client/exec-credential.ts";
import { HttpKubeClient } from "#common/kube-client/http-kube-client.ts";
import type { KubeConnection, TlsMaterial } from "#common/kube-client/kube-connection.ts";
import {
  configError,
  type Entry,
  type Kubeconfig,
  type KubeconfigPlace,
  readKubeconfig,
  textField,
} from "#common/kube-client/kubeconfig-file.ts";
import { type TextSource, TlsFiles, type TlsSources } from "#common/kube-client/tls-material.ts";
import type { MeshError } from "#common/runtime/errors.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";

export interface KubeconfigOptions extends KubeconfigPlace {
  /** @default the file's current-context */
  readonly context?: string | undefined;
  /** Milliseconds; the system's clock unless given. */
  readonly now?: (() => number) | undefined;
  /** Patience with exec plugins; `EXEC_TIMEOUT_MS` unless given. */
  readonly execTimeoutMs?: number | undefined;
}

export interface KubeconfigContext {
  readonly name: string;
  /** Where commands look unless told otherwise. @default "default" */
  readonly namespace: string;
}

type Headers = Record<string, string>;

/**
 * Throws MeshError KUBECONFIG where the file, the context or something that it names is missing or
 * is not supported.
 */
export function connectKubeconfig(options: KubeconfigOptions): HttpKubeClient {
  const config = readKubeconfig(options);
  const context = findContext(config, options.context);
  const cluster = find(config, "clusters", "cluster", context);
  const user = find(config, "users", "user", context);
  return new HttpKubeClient(describeConnection(cluster, user, options));
}

/** The context that `connectKubeconfig` takes with the same options. Throws as it does. */
export function kubeconfigContext(options: KubeconfigOptions): KubeconfigContext {
  const context = findContext(readKubeconfig(options), options.context);
  return { name: context.name, namespace: textField(context, "namespace") ?? "default" };
}

function findContext(config: Kubeconfig, wanted: string | undefined): Entry {
  const name = wanted ?? config.currentContext;
  const known = [...config.contexts.keys()].join(", ") || "none";
  if (name === undefined) {
    throw configError("no context is the current one", `name one with --context: ${known}`);
  }
  const context = config.contexts.get(name);
  if (context !== undefined) return context;
  throw configError(`there is no context ${JSON.stringify(name)}`, `contexts there: ${known}`);
}

function find(
  config: Kubeconfig,
  map: "clusters" | "users",
  field: "cluster" | "user",
  context: Entry,
): Entry {
  const name = textField(context, field);
  // A context without a user is one without credentials, for a server that asks for none.
  if (name === undefined && field === "user") return { ...context, name: "", fields: {} };
  const entry = config[map].get(name ?? "");
  if (entry !== undefined) return entry;
  const message = `context ${context.name} names ${field} ${JSON.stringify(name)}`;
  throw configError(message, `add it to ${map} of ${config.files.join(", ")}`);
}

function describeConnection(
  cluster: Entry,
  user: Entry,
  { now = Date.now, env = process.env, execTimeoutMs }: KubeconfigOptions,
): KubeConnection {
  refuseUnsupported(cluster, user);
  const server = serverOf(cluster);
  const files = new TlsFiles(tlsSources(cluster, user, now));
  const deps = { now, env, ...(execTimeoutMs !== undefined && { timeoutMs: execTimeoutMs }) };
  const plugin = isJsonObject(user.fields.exec) ? new ExecPlugin(user, cluster, deps) : undefined;
  const token = tokenOf(user, now);
  refuseCleartext(server, token !== undefined || plugin !== undefined);
  const impersonation = impersonate(user);
  return {
    server,
    tls: withPluginCertificate(files, plugin),
    headers: async () => {
      const text = plugin === undefined ? await textOf(token) : (await plugin.credential()).token;
      const bearer: Headers = text === undefined ? {} : { authorization: `Bearer ${text.trim()}` };
      return { ...impersonation, ...bearer };
    },
    refused: async () => {
      plugin?.forget();
      return typeof token === "object" ? await token.changed() : plugin !== undefined;
    },
  };
}

function tlsSources(cluster: Entry, user: Entry, now: () => number): TlsSources {
  const skip = cluster.fields["insecure-skip-tls-verify"] === true;
  const ca = sourceOf(cluster, "certificate-authority", now);
  const cert = sourceOf(user, "client-certificate", now);
  const key = sourceOf(user, "client-key", now);
  if (skip && ca !== undefined) {
    const message = `cluster ${cluster.name} has insecure-skip-tls-verify and a CA`;
    throw configError(message, "remove one of the two");
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw configError(`user ${user.name} has half of a client certificate and key`, "add the rest");
  }
  const servername = textField(cluster, "tls-server-name");
  return { ca, cert, key, servername, rejectUnauthorized: !skip };
}

function serverOf(cluster: Entry): URL {
  const text = textField(cluster, "server") ?? "";
  const url = URL.parse(text.includes("://") ? text : `https://${text}`);
  if (url !== null && ["https:", "http:"].includes(url.protocol)) return url;
  throw configError(
    `server ${JSON.stringify(text)} of cluster ${cluster.name} is no address`,
    "write https://HOST:PORT",
  );
}

function refuseUnsupported(cluster: Entry, user: Entry): void {
  const refuse = (what: string, hint: string): MeshError =>
    configError(`${what} is not supported`, hint);
  if (textField(cluster, "proxy-url") !== undefined) {
    throw refuse(`proxy-url of cluster ${cluster.name}`, "reach the server directly");
  }
  if (user.fields["auth-provider"] !== undefined) {
    throw refuse(`auth-provider of user ${user.name}`, "use an exec plugin: providers have one");
  }
  if (user.fields.username !== undefined || user.fields.password !== undefined) {
    throw refuse(`a password of user ${user.name}`, "API servers take none since Kubernetes 1.19");
  }
  if (user.fields.exec !== undefined && !isJsonObject(user.fields.exec)) {
    throw configError(`exec of user ${user.name} must be a map`, "give it command and apiVersion");
  }
}

/** A bearer token is as good as its owner: it goes over the network encrypted only. */
function refuseCleartext(server: URL, hasToken: boolean): void {
  const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(server.hostname);
  if (!hasToken || server.protocol === "https:" || isLocal) return;
  throw configError(`a token would go to ${server.origin} in the clear`, "write https://");
}

/** The text of KEY-data, decoded, or the file that KEY names. */
function sourceOf(entry: Entry, key: string, now: () => number): TextSource | undefined {
  const data = textField(entry, `${key}-data`);
  if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
  const path = textField(entry, key);
  return path === undefined ? undefined : fileOf(entry, path, now);
}

function tokenOf(user: Entry, now: () => number): TextSource | undefined {
  // As kubectl: the text counts before the file.
  const text = textField(user, "token");
  if (text !== undefined) return text;
  const path = textField(user, "tokenFile");
  return path === undefined ? undefined : fileOf(user, path, now);
}

function fileOf({ folder }: Entry, path: string, now: () => number): CredentialFile {
  return new CredentialFile(isAbsolute(path) ? path : resolve(folder, path), now);
}

async function textOf(source: TextSource | undefined): Promise<string | undefined> {
  return typeof source === "object" ? source.read() : source;
}

/** Source: Kubernetes' documentation, "User impersonation". */
function impersonate(user: Entry): Headers {
  if (user.fields["as-groups"] !== undefined || user.fields["as-user-extra"] !== undefined) {
    const hint = "impersonate a user alone, with `as`";
    throw configError(`impersonating groups by user ${user.name} is not supported`, hint);
  }
  const name = textField(user, "as");
  return name === undefined ? {} : { "impersonate-user": name };
}

function withPluginCertificate(
  files: TlsFiles,
  plugin: ExecPlugin | undefined,
): () => Promise<TlsMaterial> {
  let made: TlsMaterial | undefined;
  let from: TlsMaterial | undefined;
  return async () => {
    const material = await files.read();
    const { cert, key } = (await plugin?.credential()) ?? {};
    if (cert === undefined) return material;
    if (made?.cert === cert && made.key === key && from === material) return made;
    from = material;
    made = { ...material, cert, key };
    return made;
  };
}
