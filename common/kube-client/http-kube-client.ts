/** Requests and watches over HTTP/1.1: a connection to each watch, kept ones for the others. */
import http, {
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from "node:http";
import https from "node:https";
import { answerError, connectionError } from "#common/kube-client/api-status.ts";
import { Deadline } from "#common/kube-client/deadline.ts";
import {
  KubeApiError,
  type KubeClient,
  type KubeRequest,
  type WatchRequest,
} from "#common/kube-client/kube-client.ts";
import type { KubeConnection, TlsMaterial } from "#common/kube-client/kube-connection.ts";
import {
  IDLE_CONNECTIONS,
  KEEPALIVE_MS,
  REQUEST_TIMEOUT_MS,
  RESPONSE_BYTES,
  WATCH_IDLE_TIMEOUT_MS,
  WATCH_LINE_BYTES,
  WATCH_OPEN_TIMEOUT_MS,
} from "#common/kube-client/limits.ts";
import { LineSplitter } from "#common/kube-client/line-splitter.ts";
import { makeRequest, requestOptions, tlsOptions } from "#common/kube-client/request-options.ts";
import { MeshError } from "#common/runtime/errors.ts";

const JSON_TYPE = "application/json";

export class HttpKubeClient implements KubeClient {
  readonly server: string;
  readonly connection: KubeConnection;
  /** The current one last; those before it have requests that began before TLS was changed. */
  #agents: http.Agent[] = [];
  #material: TlsMaterial | undefined;
  readonly #running = new Set<Deadline>();
  #closed = false;

  constructor(connection: KubeConnection) {
    this.connection = connection;
    const { origin, pathname } = connection.server;
    this.server = origin + pathname.replace(/\/+$/, "");
  }

  async request(request: KubeRequest): Promise<unknown> {
    const asked = `${request.method} ${request.path}`;
    const deadline = this.#begin(asked, request.timeoutMs ?? REQUEST_TIMEOUT_MS, request.signal);
    try {
      const response = await this.#send(request, asked, deadline);
      return parseAnswer(asked, await readBody(response, asked));
    } catch (error) {
      throw deadline.reasonFor(error);
    } finally {
      this.#end(deadline);
    }
  }

  async *watch(request: WatchRequest): AsyncGenerator<unknown> {
    const { query, idleTimeoutMs = WATCH_IDLE_TIMEOUT_MS, onOpen, ...rest } = request;
    const asked = `watch ${request.path}`;
    const deadline = this.#begin(asked, WATCH_OPEN_TIMEOUT_MS, request.signal);
    const lines = new LineSplitter(WATCH_LINE_BYTES);
    try {
      const get = { ...rest, method: "GET", query: { ...query, watch: "true" } } as const;
      const response = await this.#send(get, asked, deadline);
      deadline.restart(idleTimeoutMs);
      onOpen?.();
      for await (const chunk of response) {
        for (const line of lines.push(chunk)) {
          const event = parseAnswer(asked, line);
          deadline.restart(idleTimeoutMs);
          yield event;
        }
      }
      if (lines.pending > 0) throw new MeshError("LINE_CUT", "the answer ended within a line");
    } catch (error) {
      throw deadline.reasonFor(error);
    } finally {
      this.#end(deadline);
    }
  }

  close(): void {
    this.#closed = true;
    for (const deadline of [...this.#running]) deadline.cancel(closedError("close"));
    for (const agent of this.#agents) agent.destroy();
    this.#agents = [];
  }

  #begin(asked: string, timeoutMs: number, signal: AbortSignal | undefined): Deadline {
    if (this.#closed) throw closedError(asked);
    const deadline = new Deadline(asked, timeoutMs, signal);
    this.#running.add(deadline);
    return deadline;
  }

  #end(deadline: Deadline): void {
    this.#running.delete(deadline);
    // Ends the exchange where it is still going on: a watch that nobody reads on.
    deadline.end();
  }

  /** The answer to a request, if it is a success. */
  async #send(request: KubeRequest, asked: string, deadline: Deadline): Promise<IncomingMessage> {
    let response = await this.#attempt(request, deadline);
    if (response.statusCode === 401 && (await this.connection.refused())) {
      response.resume();
      response = await this.#attempt(request, deadline);
    }
    const { statusCode = 0 } = response;
    if (statusCode >= 200 && statusCode < 300) return response;
    const body = await readBody(response, asked);
    throw answerError(asked, statusCode, body, response.headers["retry-after"]);
  }

  async #attempt(request: KubeRequest, deadline: Deadline): Promise<IncomingMessage> {
    const material = await deadline.race(this.connection.tls());
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const outgoing = { ...request, headers: headersOf(request, body) };
    const target = await deadline.race(requestOptions(this.connection, outgoing));
    const options = { ...target, agent: this.#agent(material) };
    const send = (): Promise<IncomingMessage> =>
      exchange(makeRequest(this.connection, options), body, deadline);
    return send().catch((error: unknown) => {
      // The server closed a kept connection just as this was sent.
      if (request.method === "GET" && error instanceof StaleConnection) return send();
      throw error;
    });
  }

  /** Another one whenever TLS is made with something else: what is kept stays with the old one. */
  #agent(material: TlsMaterial): http.Agent {
    const last = this.#agents.at(-1);
    if (last !== undefined && material === this.#material) return last;
    this.#agents = this.#agents.filter((agent) => Object.keys(agent.sockets).length > 0);
    for (const agent of this.#agents) retire(agent);
    const common = {
      keepAlive: true,
      keepAliveMsecs: KEEPALIVE_MS,
      maxFreeSockets: IDLE_CONNECTIONS,
      scheduling: "lifo",
    } as const;
    const isTls = this.connection.server.protocol === "https:";
    const agent = isTls
      ? new https.Agent({ ...common, ...tlsOptions(material) })
      : new http.Agent(common);
    this.#material = material;
    this.#agents.push(agent);
    return agent;
  }
}

function headersOf(
  { contentType = JSON_TYPE, accept = JSON_TYPE }: KubeRequest,
  body: string | undefined,
): OutgoingHttpHeaders {
  if (body === undefined) return { accept };
  return {
    accept,
    "content-type": contentType,
    "content-length": Buffer.byteLength(body),
  };
}

/** Its connections end with the requests that they carry. */
function retire(agent: http.Agent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of sockets ?? []) socket.destroy();
  }
}

class StaleConnection extends Error {}

function exchange(
  request: ClientRequest,
  body: string | undefined,
  deadline: Deadline,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    deadline.onEnd((error) => request.destroy(error));
    request.on("socket", (socket) => socket.setKeepAlive(true, KEEPALIVE_MS));
    request.on("response", resolve);
    request.on("error", (error) => {
      const isStale = request.reusedSocket && "code" in error && error.code === "ECONNRESET";
      reject(
        isStale ? new StaleConnection("a kept connection was closed", { cause: error }) : error,
      );
    });
    request.end(body);
  });
}

async function readBody(response: IncomingMessage, asked: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > RESPONSE_BYTES) {
      const message = `${asked}: the answer is longer than ${RESPONSE_BYTES} bytes`;
      throw new KubeApiError(message, { status: 0, reason: "ResponseTooLarge" });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseAnswer(asked: string, text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw connectionError(asked, "BadAnswer", error);
  }
}

function closedError(asked: string): KubeApiError {
  const message = `${asked}: the connection to the API server was closed`;
  return new KubeApiError(message, { status: 0, reason: "Closed" });
}
