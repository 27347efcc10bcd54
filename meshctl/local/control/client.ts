/** Speaks to a cluster's control socket from outside. */
import { type IncomingMessage, request } from "node:http";
import { createInterface } from "node:readline";
import { MeshError } from "#common/runtime/errors.ts";
import type { ServiceAccountClaims } from "#common/tls/service-account-token.ts";
import type { ClusterEvent } from "#meshctl/local/events.ts";
import { type ClusterPaths, clusterPaths } from "#meshctl/local/paths.ts";
import type {
  ClusterInfo,
  ControlError,
  MeshProcessAction,
  ObjectEvent,
  ObjectList,
  PodAccess,
} from "./api.ts";

export class ControlClient {
  /** The cluster's init, as seen from here. */
  readonly initPid: number;
  /** The cluster's files, as seen from here. */
  readonly paths: ClusterPaths;

  constructor(initPid: number) {
    this.initPid = initPid;
    this.paths = clusterPaths(`/proc/${initPid}/root`);
  }

  info(): Promise<ClusterInfo> {
    return this.#call("GET", "/v1/cluster");
  }

  /** `kind` as in YAML: `Pod`, `AuthorizationPolicy`. All namespaces if none is given. */
  objects(kind: string, namespace?: string): Promise<ObjectList> {
    const query = namespace === undefined ? "" : `?namespace=${encodeURIComponent(namespace)}`;
    return this.#call("GET", `/v1/objects/${encodeURIComponent(kind)}${query}`);
  }

  /** What istiod-lite recorded about objects. All namespaces if none is given. */
  async objectEvents(namespace?: string): Promise<readonly ObjectEvent[]> {
    const query = namespace === undefined ? "" : `?namespace=${encodeURIComponent(namespace)}`;
    const path = `/v1/object-events${query}`;
    return (await this.#call<{ items: readonly ObjectEvent[] }>("GET", path)).items;
  }

  pod(namespace: string, name: string): Promise<PodAccess> {
    return this.#call("GET", podPath(namespace, name));
  }

  /** Returns at once; the pod then has its grace period. */
  deletePod(namespace: string, name: string, graceSeconds?: number): Promise<unknown> {
    const query = graceSeconds === undefined ? "" : `?graceSeconds=${graceSeconds}`;
    return this.#call("DELETE", `${podPath(namespace, name)}${query}`);
  }

  meshProcess(name: string, action: MeshProcessAction): Promise<unknown> {
    return this.#call("POST", `/v1/mesh/${encodeURIComponent(name)}`, action);
  }

  /** Looks at the folder now, and returns when what it says is on its way. */
  refresh(): Promise<ClusterInfo> {
    return this.#call("POST", "/v1/refresh");
  }

  /** A service account token, as an API server's TokenRequest gives. */
  async token(claims: ServiceAccountClaims): Promise<string> {
    const answer = await this.#call<{ token: string }>("POST", "/v1/tokens", claims);
    return answer.token;
  }

  down(): Promise<unknown> {
    return this.#call("POST", "/v1/down");
  }

  /** What happened so far, then what happens, until the cluster ends or the signal says so. */
  async *events(signal?: AbortSignal): AsyncGenerator<ClusterEvent> {
    const response = await this.#send("GET", "/v1/events", "", signal);
    for await (const line of createInterface({ input: response })) yield JSON.parse(line);
  }

  /** A path that the init knows, as seen from here. */
  outside(path: string): string {
    return `/proc/${this.initPid}/root${path}`;
  }

  async #call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const response = await this.#send(method, path, text);
    let answer = "";
    for await (const chunk of response.setEncoding("utf8")) answer += chunk;
    if (response.statusCode === 200) return JSON.parse(answer);
    const { code, message, hint }: ControlError = JSON.parse(answer);
    throw new MeshError(code, message, hint === undefined ? {} : { hint });
  }

  #send(
    method: string,
    path: string,
    body: string,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const { controlSocket: socketPath } = this.paths;
    return new Promise((resolve, reject) => {
      const optional = signal === undefined ? {} : { signal };
      const outgoing = request({ socketPath, method, path, agent: false, ...optional }, resolve);
      outgoing.on("error", (cause: NodeJS.ErrnoException) => {
        const denied = cause.code === "EACCES" || cause.code === "EPERM";
        const hint = denied ? "it is root's: sudo meshctl ..." : "meshctl down, then meshctl up";
        reject(new MeshError("CLUSTER_SILENT", "the cluster does not answer", { cause, hint }));
      });
      outgoing.end(body);
    });
  }
}

function podPath(namespace: string, name: string): string {
  return `/v1/pods/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
}
