/** What routes look at in a request, worked out when the first of them asks. */
import type { HeaderList } from "../http/header-list.ts";
import type { RequestHead } from "../http/message.ts";

/** Who asks: by the certificate and by what the mesh knows of its address, never by a header. */
export interface Caller {
  readonly namespace: string;
  /** UID of the workload; absent where it is not known. */
  readonly workload: string | undefined;
}

/** Method, scheme, authority, path and headers are those after normalisation. */
export class RequestView {
  readonly head: RequestHead;
  readonly caller: Caller;
  /** Without the query. */
  readonly pathname: string;
  #lowerPathname: string | undefined;
  #host: string | undefined;
  #query: ReadonlyMap<string, string> | undefined;
  #grpc: boolean | undefined;

  constructor(head: RequestHead, caller: Caller) {
    this.head = head;
    this.caller = caller;
    const question = head.path.indexOf("?");
    this.pathname = question < 0 ? head.path : head.path.slice(0, question);
  }

  get headers(): HeaderList {
    return this.head.headers;
  }

  get lowerPathname(): string {
    this.#lowerPathname ??= this.pathname.toLowerCase();
    return this.#lowerPathname;
  }

  /** The authority without its port. */
  get host(): string {
    this.#host ??= this.head.authority.replace(/:\d*$/, "");
    return this.#host;
  }

  /** The first value of each parameter. */
  get query(): ReadonlyMap<string, string> {
    this.#query ??= parseQuery(this.head.path.slice(this.pathname.length + 1));
    return this.#query;
  }

  get isGrpc(): boolean {
    this.#grpc ??= isGrpc(this.head);
    return this.#grpc;
  }
}

/** Source: gRPC over HTTP/2, "Requests": POST with a content-type that begins so. */
export function isGrpc(head: RequestHead): boolean {
  const type = head.headers.get("content-type");
  if (head.method !== "POST" || type?.startsWith("application/grpc") !== true) return false;
  const next = type["application/grpc".length];
  return next === undefined || next === "+" || next === ";";
}

function parseQuery(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const pair of text.split("&")) {
    const equals = pair.indexOf("=");
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals));
    if (name === "" || found.has(name)) continue;
    found.set(name, equals < 0 ? "" : decoded(pair.slice(equals + 1)));
  }
  return found;
}

/** Percent escapes decoded; as it is where they are not UTF-8. */
function decoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    // The client's own notation: it is compared as it stands.
    return text;
  }
}
