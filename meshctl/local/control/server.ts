/** The cluster's control socket: HTTP over a unix socket in the cluster's own files. */

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { FolderWatcher } from "#common/kubernetes/watch-folder.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Cluster } from "#meshctl/local/cluster.ts";
import type { ClusterSettings } from "#meshctl/local/cluster-settings.ts";
import type { EventLog } from "#meshctl/local/events.ts";
import { CONTROL_BODY_MAX_BYTES } from "#meshctl/local/limits.ts";
import type { MeshPrograms } from "#meshctl/local/mesh/mesh-programs.ts";
import type { ClusterPaths } from "#meshctl/local/paths.ts";
import type { TokenIssuer } from "#meshctl/local/token-issuer.ts";
import type { ClusterInfo, ControlError, MeshProcessAction, ObjectList } from "./api.ts";
import { listEvents, listObjects } from "./object-views.ts";
import { meshPodAccess, podAccess } from "./pod-access.ts";

export interface ControlDeps {
  readonly settings: ClusterSettings;
  readonly paths: ClusterPaths;
  readonly folder: string;
  readonly events: EventLog;
  readonly cluster: Cluster;
  readonly mesh: MeshPrograms | undefined;
  readonly watcher: FolderWatcher;
  readonly tokens: TokenIssuer;
}

interface Call {
  readonly query: URLSearchParams;
  /** The path's variable parts, decoded. */
  readonly parts: readonly string[];
  readonly body: string;
}

type Handler = (call: Call) => unknown;

export class ControlServer {
  readonly #deps: ControlDeps;
  /** The start is over. */
  ready = false;

  constructor(deps: ControlDeps) {
    this.#deps = deps;
  }

  async listen(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    server.listen(this.#deps.paths.controlSocket);
    await once(server, "listening");
  }

  /** Method and path; a star stands for one variable part. */
  get #routes(): Readonly<Record<string, Handler>> {
    return {
      "GET /v1/cluster": () => this.#info(),
      "GET /v1/objects/*": ({ parts, query }) => this.#objects(parts[0] ?? "", query),
      "GET /v1/object-events": async ({ query }) => ({
        items: await listEvents(this.#deps.cluster.publisher, query.get("namespace") ?? undefined),
      }),
      "GET /v1/pods/*/*": ({ parts }) => this.#podAccess(parts[0] ?? "", parts[1] ?? ""),
      "DELETE /v1/pods/*/*": ({ parts, query }) => this.#deletePod(parts, query),
      "POST /v1/mesh/*": ({ parts, body }) => this.#actOnMesh(parts[0] ?? "", JSON.parse(body)),
      "POST /v1/refresh": () => this.#refresh(),
      "POST /v1/tokens": async ({ body }) => ({
        token: await this.#deps.tokens.sign(JSON.parse(body)),
      }),
      "POST /v1/down": () => void setImmediate(() => process.exit(0)),
    };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => response.destroy());
    try {
      const url = new URL(request.url ?? "/", "http://cluster");
      if (url.pathname === "/v1/events") return this.#streamEvents(response);
      const { handler, parts } = this.#route(request.method ?? "", url.pathname);
      const body = await readBody(request);
      const answer = await handler({ query: url.searchParams, parts, body });
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify(answer ?? {}));
    } catch (error) {
      response.statusCode = 400;
      response.end(JSON.stringify(controlError(error)));
    }
  }

  #route(method: string, path: string): { handler: Handler; parts: readonly string[] } {
    const given = [method, ...path.slice(1).split("/")];
    for (const [route, handler] of Object.entries(this.#routes)) {
      const wanted = route.replace(" /", "/").split("/");
      const matches = wanted.every((word, i) => word === "*" || word === given[i]);
      if (!matches || wanted.length !== given.length) continue;
      const parts = given.filter((_, i) => wanted[i] === "*").map(decodeURIComponent);
      return { handler, parts };
    }
    throw new MeshError("UNKNOWN_CALL", `a cluster does not know ${method} ${path}`, {
      hint: "use the meshctl that started the cluster",
    });
  }

  #info(): ClusterInfo {
    const { settings, folder, cluster } = this.#deps;
    const nodes = cluster.nodes.map(({ wiring: { name, pid, ips } }) => ({ name, pid, ips }));
    const { problems } = cluster;
    return { name: settings.name, folder, mesh: settings.mesh, ready: this.ready, nodes, problems };
  }

  async #objects(kind: string, query: URLSearchParams): Promise<ObjectList> {
    const { cluster, mesh } = this.#deps;
    const namespace = query.get("namespace") ?? undefined;
    return { items: await listObjects(cluster.publisher, mesh, kind, namespace) };
  }

  #podAccess(namespace: string, name: string) {
    const { cluster, mesh, paths } = this.#deps;
    const pod = cluster.pods.runtime(namespace, name);
    const access = pod === undefined ? meshPodAccess(mesh, namespace, name) : podAccess(pod, paths);
    return access ?? noSuchPod(namespace, name);
  }

  #deletePod(parts: readonly string[], query: URLSearchParams) {
    const [namespace = "", name = ""] = parts;
    const grace = query.get("graceSeconds");
    const { pods } = this.#deps.cluster;
    const found = pods.delete(namespace, name, grace === null ? undefined : Number(grace));
    if (!found) noSuchPod(namespace, name);
    this.#deps.cluster.requestReconcile();
    return {};
  }

  async #actOnMesh(name: string, { action, signal, env }: MeshProcessAction) {
    const program = this.#deps.mesh?.find(name);
    if (program === undefined) {
      throw new MeshError("NO_SUCH_PROGRAM", `the mesh of this cluster has no program ${name}`, {
        hint: "its programs are istiod, ztunnel-NODE and, beside a stock one, istio-cni-NODE",
      });
    }
    if (action === "signal") program.signal(signal ?? "SIGTERM");
    else if (action === "stop") await program.stop(0);
    else if (action === "replace") await program.replace(env);
    else program.restart(env ?? {});
    return {};
  }

  async #refresh() {
    await this.#deps.watcher.refresh();
    await this.#deps.cluster.settled();
    return this.#info();
  }

  /** All kept events, then each new one, one JSON object per line, until the client leaves. */
  #streamEvents(response: ServerResponse): void {
    const write = (event: unknown) => void response.write(`${JSON.stringify(event)}\n`);
    response.setHeader("Content-Type", "application/x-ndjson");
    for (const event of this.#deps.events.kept) write(event);
    response.on("close", this.#deps.events.listen(write));
  }
}

function noSuchPod(namespace: string, name: string): never {
  throw new MeshError("NO_SUCH_POD", `there is no pod ${name} in namespace ${namespace}`, {
    hint: "meshctl get pods -A",
  });
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > CONTROL_BODY_MAX_BYTES) throw new MeshError("TOO_LONG", "the request is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function controlError(error: unknown): ControlError {
  const code = error instanceof MeshError ? error.code : "INTERNAL";
  const hint = error instanceof MeshError ? error.hint : undefined;
  return { code, message: describeError(error), ...(hint === undefined ? {} : { hint }) };
}
