/**
 * Connections to an API server that are more than a request: switched to WebSocket, or an answer
 * that is read as it comes. Each has a connection of its own, made and proven as every other.
 */
import { createHash, randomBytes } from "node:crypto";
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Duplex, Readable } from "node:stream";
import { answerError, connectionError } from "#common/kube-client/api-status.ts";
import type { KubeConnection } from "#common/kube-client/kube-connection.ts";
import {
  KEEPALIVE_MS,
  STREAM_ERROR_CHARACTERS,
  STREAM_OPEN_TIMEOUT_MS,
} from "#common/kube-client/limits.ts";
import {
  makeRequest,
  type Query,
  requestOptions,
  tlsOptions,
} from "#common/kube-client/request-options.ts";
import { MeshError } from "#common/runtime/errors.ts";

export interface StreamRequest {
  /** Absolute, without a query. */
  readonly path: string;
  readonly query?: Query;
  /** Gives up waiting, and ends what is open. */
  readonly signal?: AbortSignal;
}

/** After "101 Switching Protocols": the bytes are WebSocket's. */
export interface Switched {
  readonly socket: Duplex;
  /** What came with the answer. */
  readonly head: Buffer;
  /** The one of those offered that the server took. */
  readonly protocol: string;
}

/** Source: RFC 6455 section 1.3. */
const ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/**
 * Offers the subprotocols, the preferred one first. Throws a KubeApiError where the server answers
 * anything but a switch to one of them.
 */
export async function switchProtocol(
  connection: KubeConnection,
  request: StreamRequest & { readonly protocols: readonly string[] },
): Promise<Switched> {
  const key = randomBytes(16).toString("base64");
  const answer = await ask(connection, request, {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": key,
    "sec-websocket-protocol": request.protocols.join(", "),
  });
  if (answer.socket === undefined) {
    answer.response.destroy();
    throw notSwitched(request.path, `${answer.response.statusCode}, not 101`);
  }
  const { response, socket, head } = answer;
  const accepted = createHash("sha1").update(`${key}${ACCEPT_GUID}`).digest("base64");
  const protocol = response.headers["sec-websocket-protocol"];
  if (response.headers["sec-websocket-accept"] !== accepted || protocol === undefined) {
    socket.destroy();
    throw notSwitched(request.path, "without taking one of the protocols");
  }
  return { socket, head, protocol };
}

/** The body of a successful answer, for as long as it comes. Destroying it ends the request. */
export async function openBody(
  connection: KubeConnection,
  request: StreamRequest,
): Promise<Readable> {
  return (await ask(connection, request, {})).response;
}

interface Answer {
  readonly response: IncomingMessage;
  readonly socket?: Duplex;
  readonly head: Buffer;
}

async function ask(
  connection: KubeConnection,
  request: StreamRequest,
  headers: OutgoingHttpHeaders,
): Promise<Answer> {
  const answer = await attempt(connection, request, headers);
  const status = answer.response.statusCode ?? 0;
  if (status !== 401 || !(await connection.refused())) return successOf(answer, request.path);
  answer.response.resume();
  return successOf(await attempt(connection, request, headers), request.path);
}

async function successOf(answer: Answer, path: string): Promise<Answer> {
  const { response } = answer;
  const status = response.statusCode ?? 0;
  if (answer.socket !== undefined || (status >= 200 && status < 300)) return answer;
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) {
    body += chunk;
    if (body.length > STREAM_ERROR_CHARACTERS) break;
  }
  throw answerError(`open ${path}`, status, body, response.headers["retry-after"]);
}

async function attempt(
  connection: KubeConnection,
  { path, query, signal }: StreamRequest,
  headers: OutgoingHttpHeaders,
): Promise<Answer> {
  const [material, target] = await Promise.all([
    connection.tls(),
    requestOptions(connection, { method: "GET", path, query, headers }),
  ]);
  const options = { ...target, ...tlsOptions(material), agent: false } as const;
  return answerTo(makeRequest(connection, { ...options, ...(signal && { signal }) }), path);
}

function answerTo(request: ClientRequest, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      request.destroy(new Error(`nothing came for ${STREAM_OPEN_TIMEOUT_MS} ms`));
    }, STREAM_OPEN_TIMEOUT_MS);
    request.on("close", () => clearTimeout(timer));
    request.on("socket", (socket) => socket.setKeepAlive(true, KEEPALIVE_MS).setNoDelay());
    request.on("response", (response) => {
      clearTimeout(timer);
      resolve({ response, head: Buffer.alloc(0) });
    });
    request.on("upgrade", (response, socket, head) => {
      clearTimeout(timer);
      resolve({ response, socket, head });
    });
    request.on("error", (error) => {
      reject(connectionError(`open ${path}`, "ConnectionLost", error));
    });
    request.end();
  });
}

function notSwitched(path: string, how: string): MeshError {
  return new MeshError("NOT_SWITCHED", `the API server answered ${path} ${how}`, {
    hint: "a proxy on the way to the API server may not pass WebSocket on",
  });
}
