/**
 * A small API server over real HTTP that stores what is written to it, for tests of writing:
 * versions and conflicts, merge patches, server-side apply as far as one manager needs it, and
 * answers that a test makes up.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { HttpKubeClient } from "#common/kube-client/http-kube-client.ts";
import { plainClient } from "#common/kube-client/plain-client-fixture.ts";
import { askedOf } from "#istiod-lite/config/kubernetes/permission-gate.ts";
import type { StoredObject } from "#istiod-lite/config/kubernetes/write/stored-object.ts";

export interface Written {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Json;
}

type Json = Readonly<Record<string, unknown>>;
type Answer = readonly [status: number, body: object];

export class WritableServerFixture {
  /** Everything that was asked, reading included: "PATCH /api/v1/...". */
  readonly asked: string[] = [];
  /** An answer in place of the server's own, or none at all. */
  answer: (written: Written) => Answer | "none" | undefined = () => undefined;
  readonly #objects = new Map<string, StoredObject>();
  #version = 100;
  readonly #server = createServer((request, response) => void this.#take(request, response));

  static async start(t: TestContext): Promise<WritableServerFixture> {
    const fixture = new WritableServerFixture();
    fixture.#server.listen(0, "127.0.0.1");
    await once(fixture.#server, "listening");
    t.after(() => {
      fixture.#server.closeAllConnections();
      fixture.#server.close();
    });
    return fixture;
  }

  client(t: TestContext): HttpKubeClient {
    return plainClient(t, (this.#server.address() as AddressInfo).port);
  }

  /** What was asked since the last time, without reading. */
  takeWrites(): string[] {
    return this.asked.splice(0).filter((line) => !line.startsWith("GET "));
  }

  get(path: string): StoredObject | undefined {
    return this.#objects.get(path);
  }

  put(path: string, object: object): StoredObject {
    const given = object as StoredObject;
    const before = this.#objects.get(path)?.metadata.uid;
    const uid = given.metadata.uid ?? before ?? `uid-${this.#version}`;
    const resourceVersion = String(++this.#version);
    const stored = { ...given, metadata: { ...given.metadata, uid, resourceVersion } };
    this.#objects.set(path, stored);
    return stored;
  }

  remove(path: string): void {
    this.#objects.delete(path);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname: path, searchParams: query } = new URL(request.url ?? "/", "http://localhost");
    const method = request.method ?? "";
    this.asked.push(`${method} ${path}`);
    const text = Buffer.concat(await request.toArray()).toString("utf8");
    const body = (text === "" ? {} : JSON.parse(text)) as Json;
    const written = { method, path, query, body };
    const answered = this.answer(written) ?? this.#own(written, request);
    if (answered === "none") return;
    const [status, answer] = answered;
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(answer));
  }

  #own(written: Written, request: IncomingMessage): Answer {
    const { method, path, body } = written;
    if (method === "POST") return this.#create(path, body);
    const object = path.replace(/\/status$/, "");
    const found = this.#objects.get(object);
    const applies = request.headers["content-type"]?.includes("apply-patch") === true;
    if (method === "PATCH" && applies) return this.#apply(object, found, written);
    if (found === undefined) return method === "GET" ? this.#list(path) : failure(404, "NotFound");
    if (method === "GET") return [200, found];
    const metadata = (method === "DELETE" ? body.preconditions : body.metadata) as Json | undefined;
    const { resourceVersion = found.metadata.resourceVersion, uid = found.metadata.uid } =
      metadata ?? {};
    if (resourceVersion !== found.metadata.resourceVersion || uid !== found.metadata.uid) {
      return failure(409, "Conflict");
    }
    if (method === "DELETE") {
      this.#objects.delete(object);
      return [200, { kind: "Status", status: "Success" }];
    }
    const after = method === "PUT" ? body : (merge(found, body) as Json);
    return [200, JSON.stringify(after) === JSON.stringify(found) ? found : this.put(object, after)];
  }

  #create(path: string, body: Json): Answer {
    const { name } = body.metadata as { readonly name: string };
    const object = `${path}/${name}`;
    if (this.#objects.has(object)) return failure(409, "AlreadyExists");
    const { stringData, ...rest } = body as { readonly stringData?: Record<string, string> };
    const encoded = Object.entries(stringData ?? {}).map(([key, text]) => [key, btoa(text)]);
    const data = stringData === undefined ? {} : { data: Object.fromEntries(encoded) };
    return [201, this.put(object, { ...rest, ...data })];
  }

  #apply(path: string, found: StoredObject | undefined, { query, body }: Written): Answer {
    const manager = { manager: query.get("fieldManager") ?? "", operation: "Apply" };
    const after = merge(found ?? {}, body) as StoredObject;
    const managedFields = [manager];
    const object = { ...after, metadata: { ...after.metadata, managedFields } };
    if (JSON.stringify(object) === JSON.stringify(found)) return [200, object];
    return [200, this.put(path, object)];
  }

  #list(path: string): Answer {
    if (!askedOf({ method: "GET", path }).what.startsWith("list ")) return failure(404, "NotFound");
    const plural = path.slice(path.lastIndexOf("/"));
    const items = [...this.#objects].filter(([key]) => key.includes(`${plural}/`));
    const metadata = { resourceVersion: String(this.#version) };
    return [200, { metadata, items: items.map(([, object]) => object) }];
  }
}

export function failure(code: number, reason: string, message = reason): Answer {
  return [code, { kind: "Status", status: "Failure", code, reason, message }];
}

function merge(value: unknown, patch: unknown): unknown {
  const isMap = (each: unknown): each is Json =>
    typeof each === "object" && each !== null && !Array.isArray(each);
  if (!isMap(patch)) return patch;
  const merged = new Map(Object.entries(isMap(value) ? value : {}));
  for (const [key, part] of Object.entries(patch)) {
    if (part === null) merged.delete(key);
    else merged.set(key, merge(merged.get(key), part));
  }
  return Object.fromEntries(merged);
}
