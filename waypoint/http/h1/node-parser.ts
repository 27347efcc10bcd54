/**
 * The private part of Node that this engine leans on, all in this file: `HTTPParser` of
 * `node:_http_common`, which is llhttp in its strict mode. It parses the heads of messages and
 * nothing else: a head is fed whole, the callback says "upgrade", and the parser stops behind it,
 * ready for the next head of whichever connection. So one parser serves all connections of a
 * thread, and bodies pass without being copied by it. `node-parser.test.ts` fails on a Node that
 * changed any of this.
 */
import { MeshError } from "#common/runtime/errors.ts";

/** What llhttp found in one head. The strings are one byte per character. */
export interface ParsedHead {
  /** Name, value, name, value, as they came. */
  fields: string[];
  method: string;
  target: string;
  status: number;
  major: number;
  minor: number;
}

interface NodeParser {
  initialize(type: number, resource: object, maxHeaderBytes: number, lenient: number): void;
  execute(bytes: Uint8Array): number | (Error & { readonly reason?: string });
  [callback: number]: unknown;
}

interface HttpCommon {
  readonly HTTPParser: {
    new (): NodeParser;
    readonly REQUEST: number;
    readonly RESPONSE: number;
    readonly kOnHeaders: number;
    readonly kOnHeadersComplete: number;
    readonly kLenientNone: number;
  };
  readonly methods: readonly string[];
}

/** Whoever feeds the parser bounds the head before. */
const NO_OWN_LIMIT = 1 << 30;
/** What a callback returns for "no body, and what follows is another protocol". */
const STOP_BEHIND_HEAD = 2;

type Kind = "REQUEST" | "RESPONSE";

export class HeadParser {
  readonly head: ParsedHead = emptyHead();
  readonly #common: HttpCommon;
  readonly #kind: Kind;
  readonly #parser: NodeParser;
  #persistent = true;
  /** The callback for a whole head was called. */
  #complete = false;

  private constructor(common: HttpCommon, kind: Kind) {
    this.#common = common;
    this.#kind = kind;
    this.#parser = new common.HTTPParser();
    this.#initialize();
    const { kOnHeaders, kOnHeadersComplete } = common.HTTPParser;
    this.#parser[kOnHeaders] = (fields: string[], target: string) => this.#part(fields, target);
    this.#parser[kOnHeadersComplete] = this.#headComplete.bind(this);
  }

  /** Throws MeshError NODE_PARSER where this Node's parser is not the one we know. */
  static of(kind: Kind): HeadParser {
    const parser = new HeadParser(httpCommon(), kind);
    const probe =
      kind === "REQUEST"
        ? "GET /a HTTP/1.0\r\nhost: b\r\n\r\nrest"
        : "HTTP/1.0 200 OK\r\nhost: b\r\n\r\nrest";
    for (const round of ["first", "second"]) {
      const { fields } = parser.head;
      const length = parser.parse(Buffer.from(probe));
      const known = length === probe.length - 4 && fields !== parser.head.fields;
      if (!known || parser.head.fields.join() !== "host,b") throw unknownParser(`${round} probe`);
    }
    return parser;
  }

  /** Takes a head that is complete; its length, or what is wrong with it. `head` has the rest. */
  parse(bytes: Uint8Array): number | string {
    const result = this.#execute(bytes);
    if (typeof result === "number" && this.#complete) {
      // After a message that ends its connection the parser would take no other.
      if (!this.#persistent) this.#initialize();
      return result;
    }
    return this.#reason(bytes);
  }

  /** Behind an upgrade the parser does not tell of errors, but just stops: a new one does. */
  #reason(bytes: Uint8Array): string {
    this.#initialize();
    const result = this.#execute(bytes);
    this.#initialize();
    return typeof result === "number" ? "incomplete" : (result.reason ?? result.message);
  }

  #execute(bytes: Uint8Array): number | (Error & { readonly reason?: string }) {
    this.head.fields = NO_FIELDS;
    this.#complete = false;
    return this.#parser.execute(bytes);
  }

  #initialize(): void {
    const { HTTPParser } = this.#common;
    this.#parser.initialize(HTTPParser[this.#kind], {}, NO_OWN_LIMIT, HTTPParser.kLenientNone);
  }

  /** Some of the fields of a head with more than 32. */
  #part(fields: string[], target: string): void {
    const { head } = this;
    if (target !== "") head.target = target;
    if (head.fields === NO_FIELDS) head.fields = fields;
    else for (const text of fields) head.fields.push(text);
  }

  #headComplete(
    major: number,
    minor: number,
    fields: string[] | undefined,
    method: number | undefined,
    target: string | undefined,
    status: number | undefined,
    ...[, , persistent]: [reason: string | undefined, upgrade: boolean, persistent: boolean]
  ): number {
    const { head } = this;
    head.major = major;
    head.minor = minor;
    if (fields !== undefined) head.fields = fields;
    head.method = method === undefined ? "" : (this.#common.methods[method] ?? "");
    if (target !== undefined) head.target = target;
    head.status = status ?? 0;
    this.#persistent = persistent;
    this.#complete = true;
    return STOP_BEHIND_HEAD;
  }
}

const NO_FIELDS: string[] = [];

function emptyHead(): ParsedHead {
  return { fields: NO_FIELDS, method: "", target: "", status: 0, major: 0, minor: 0 };
}

function httpCommon(): HttpCommon {
  const common = process.getBuiltinModule("node:_http_common") as Partial<HttpCommon> | undefined;
  const { HTTPParser, methods } = common ?? {};
  if (HTTPParser === undefined || methods === undefined) throw unknownParser("no HTTPParser");
  const { REQUEST, RESPONSE, kOnHeaders, kOnHeadersComplete, kLenientNone } = HTTPParser;
  const numbers = [REQUEST, RESPONSE, kOnHeaders, kOnHeadersComplete, kLenientNone];
  if (!numbers.every((value) => typeof value === "number")) throw unknownParser("other constants");
  return { HTTPParser, methods };
}

function unknownParser(detail: string): MeshError {
  return new MeshError(
    "NODE_PARSER",
    `the llhttp engine does not know the HTTP parser of Node ${process.version}: ${detail}`,
    { hint: "run the Node of package.json (26), or choose another HTTP engine" },
  );
}

let request: HeadParser | undefined;
let response: HeadParser | undefined;

/** This thread's parser of requests. */
export function requestParser(): HeadParser {
  request ??= HeadParser.of("REQUEST");
  return request;
}

/** This thread's parser of responses. */
export function responseParser(): HeadParser {
  response ??= HeadParser.of("RESPONSE");
  return response;
}
