/**
 * A small API server over real HTTP, for tests: lists in pages, watches, history that can be
 * compacted, definitions that come and go, and every fault that a test asks for.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { HttpKubeClient } from "#common/kube-client/http-kube-client.ts";
import { plainClient } from "#common/kube-client/plain-client-fixture.ts";
import { resourceOf } from "#common/kube-client/resources.ts";
import { objectKey } from "#common/kubernetes/objects.ts";
import { WATCHED_KINDS } from "#istiod-lite/config/kubernetes/watch/watched-kinds.ts";

export interface StoredObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
  };
}

interface HistoryEvent {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: StoredObject;
}

interface Asked {
  /** Path without query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly isWatch: boolean;
}

/** What becomes of a request instead of its answer. */
export type Fault = { readonly status: number; readonly reason?: string } | "hang" | "cut";

export class ApiServerFixture {
  readonly requests: Asked[] = [];
  /** Asked of each request. */
  fault: (asked: Asked) => Fault | undefined = () => undefined;
  readonly #objects = new Map<string, StoredObject>();
  readonly #watches = new Map<ServerResponse, string>();
  #history: HistoryEvent[] = [];
  #version = 1_000;
  #compactedAt = 0;
  #port = 0;
  readonly #server = createServer((request, response) => this.#answer(request, response));

  static async start(t: TestContext): Promise<ApiServerFixture> {
    const fixture = new ApiServerFixture();
    await fixture.listen();
    t.after(() => fixture.close());
    fixture.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } });
    return fixture;
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** The same port is taken again by the next `listen`. */
  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  client(t: TestContext): HttpKubeClient {
    return plainClient(t, this.#port);
  }

  put(object: StoredObject): void {
    const key = objectKey(object);
    const type = this.#objects.has(key) ? "MODIFIED" : "ADDED";
    this.#store(type, object);
  }

  remove(kind: string, namespace: string, name: string): void {
    const object = this.#objects.get(`${kind}/${namespace}/${name}`);
    if (object !== undefined) this.#store("DELETED", object);
  }

  /** Defines a kind; `versions`: those that are served. */
  define(kind: string, versions?: readonly string[], established = true): void {
    const source = WATCHED_KINDS.find((each) => each.kind === kind);
    const [group, ...served] = (source?.apiVersions ?? []).flatMap((version, index) =>
      index === 0 ? version.split("/") : (version.split("/")[1] ?? ""),
    );
    const names = (versions ?? served).map((name) => ({ name, served: true }));
    const status = established ? "True" : "False";
    const definition = {
      ...this.#definition(kind),
      spec: { group, names: { plural: resourceOf(kind).plural }, versions: names },
      status: { conditions: [{ type: "Established", status }] },
    };
    this.put(definition);
  }

  /** The objects of the kind go first, as in a cluster. */
  undefine(kind: string): void {
    for (const object of [...this.#objects.values()]) {
      if (object.kind === kind) this.#store("DELETED", object);
    }
    this.#store("DELETED", this.#definition(kind));
    this.cutWatches(resourceOf(kind).plural);
  }

  /** Every kind that the mesh reads. */
  defineAll(): void {
    for (const { kind, crd } of WATCHED_KINDS) if (crd !== undefined) this.define(kind);
  }

  /** What happened until now is forgotten: no watch can go on from before. */
  compact(): void {
    this.#history = [];
    this.#compactedAt = ++this.#version;
  }

  /** Goes back in time, as after a restored backup. */
  rewind(version: number): void {
    this.#version = version;
    this.#history = [];
    this.#compactedAt = 0;
  }

  cutWatches(plural = ""): void {
    for (const [response, path] of this.#watches) if (path.endsWith(plural)) response.destroy();
  }

  /** Says something on every watch of a collection. */
  say(plural: string, text: string): void {
    for (const [response, path] of this.#watches) if (path.endsWith(plural)) response.write(text);
  }

  bookmark(plural: string): void {
    const metadata = { resourceVersion: String(this.#version) };
    this.say(plural, `${JSON.stringify({ type: "BOOKMARK", object: { metadata } })}\n`);
  }

  watching(plural: string): number {
    return [...this.#watches.values()].filter((path) => path.endsWith(`/${plural}`)).length;
  }

  #definition(kind: string): StoredObject {
    const crd = WATCHED_KINDS.find((each) => each.kind === kind)?.crd ?? "";
    const apiVersion = "apiextensions.k8s.io/v1";
    return { apiVersion, kind: "CustomResourceDefinition", metadata: { name: crd } };
  }

  #store(type: HistoryEvent["type"], given: StoredObject): void {
    const version = ++this.#version;
    const metadata = { ...given.metadata, resourceVersion: String(version) };
    const object = { ...given, metadata };
    const key = objectKey(object);
    if (type === "DELETED") this.#objects.delete(key);
    else this.#objects.set(key, object);
    this.#history.push({ version, type, object });
    for (const [response, path] of this.#watches) {
      if (isIn(object, path)) response.write(`${JSON.stringify({ type, object })}\n`);
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname: path, searchParams: query } = new URL(request.url ?? "/", "http://localhost");
    const asked = { path, query, isWatch: query.get("watch") === "true" };
    this.requests.push(asked);
    const fault = this.fault(asked) ?? this.#unknown(path);
    if (fault === "hang") return;
    if (fault === "cut") request.socket.destroy();
    else if (fault !== undefined) refuse(response, fault.status, fault.reason);
    else if (asked.isWatch) this.#watch(path, Number(query.get("resourceVersion")), response);
    else this.#list(path, query, response);
  }

  /** Kinds without a definition have no path. */
  #unknown(path: string): Fault | undefined {
    const source = WATCHED_KINDS.find(({ kind }) => path.endsWith(`/${resourceOf(kind).plural}`));
    if (source?.crd === undefined) return undefined;
    const definition = this.#objects.get(`CustomResourceDefinition//${source.crd}`);
    return definition === undefined ? { status: 404 } : undefined;
  }

  #list(path: string, query: URLSearchParams, response: ServerResponse): void {
    const name = query.get("fieldSelector")?.replace("metadata.name=", "");
    const isAsked = (object: StoredObject): boolean =>
      isIn(object, path) && (name === undefined || object.metadata.name === name);
    const all = [...this.#objects.values()].filter(isAsked);
    const limit = Number(query.get("limit") ?? all.length) || all.length;
    const [start = "0", version = String(this.#version)] = query.get("continue")?.split("@") ?? [];
    if (Number(version) < this.#compactedAt) {
      refuse(response, 410, "Expired");
      return;
    }
    const end = Number(start) + limit;
    // Items of a list say neither kind nor version.
    const items = all.slice(Number(start), end).map(({ kind: _, apiVersion: __, ...rest }) => rest);
    const next = end < all.length ? { continue: `${end}@${version}` } : {};
    const metadata = { resourceVersion: version, ...next };
    response.end(JSON.stringify({ kind: "List", apiVersion: "v1", metadata, items }));
  }

  #watch(path: string, from: number, response: ServerResponse): void {
    response.writeHead(200).flushHeaders();
    if (from < this.#compactedAt) {
      const object = { kind: "Status", code: 410, reason: "Expired", message: "too old" };
      response.end(`${JSON.stringify({ type: "ERROR", object })}\n`);
      return;
    }
    for (const { version, type, object } of this.#history) {
      if (version > from && isIn(object, path)) {
        response.write(`${JSON.stringify({ type, object })}\n`);
      }
    }
    this.#watches.set(response, path);
    response.on("close", () => this.#watches.delete(response));
  }
}

/** A collection gives its objects in whatever version is asked for. */
function isIn({ kind, apiVersion }: StoredObject, path: string): boolean {
  const group = apiVersion.includes("/") ? `/apis/${apiVersion.split("/")[0]}/` : "/api/";
  return path.startsWith(group) && path.endsWith(`/${resourceOf(kind).plural}`);
}

function refuse(response: ServerResponse, status: number, reason = ""): void {
  const message = `the fixture says ${status}`;
  response.writeHead(status);
  response.end(JSON.stringify({ kind: "Status", code: status, reason, message }));
}
