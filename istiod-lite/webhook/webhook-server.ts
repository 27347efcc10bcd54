/**
 * The validating webhook: HTTPS on port 15017, POST /validate. Whoever calls is not asked who they
 * are: an answer tells nobody anything that the rules do not.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { ServerCredentials } from "../ca/certificate-authority.ts";
import type { LiveAuthority } from "../ca/live-authority.ts";
import { RefusalLog } from "../refusal-log.ts";
import { BodyReader } from "./body.ts";
import { judge } from "./judge.ts";
import {
  CERTIFICATE_CHECK_MS,
  HANDSHAKE_TIMEOUT_MS,
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_MS,
  REVIEW_TIMEOUT_MS,
  WEBHOOK_CONNECTIONS,
  WEBHOOK_SHUTDOWN_MS,
} from "./limits.ts";
import type { MeshPreview } from "./mesh-preview.ts";
import { type AdmissionRequest, answerReview, parseReview, type Verdict } from "./review.ts";
import type { WebhookMetrics } from "./webhook-metrics.ts";

/** Source: Istio's webhook configurations name this path. */
export const VALIDATE_PATH = "/validate";

const OPTIONS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: REVIEW_TIMEOUT_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  connectionsCheckingInterval: 1_000,
} as const;

export interface WebhookServerDeps {
  readonly authority: Pick<LiveAuthority, "current">;
  /** The names under which API servers call: what the certificate is for. */
  readonly dnsNames: readonly string[];
  readonly preview: MeshPreview;
  readonly metrics: WebhookMetrics;
  readonly logger: Logger;
  readonly bodies?: BodyReader;
  /** Default WEBHOOK_CONNECTIONS. */
  readonly connections?: number;
  /** Milliseconds since the epoch; default Date.now. */
  readonly now?: () => number;
}

export class WebhookServer {
  readonly #deps: WebhookServerDeps;
  readonly #bodies: BodyReader;
  readonly #now: () => number;
  readonly #refusals: RefusalLog;
  readonly #server: Server;
  #certificate: (ServerCredentials & { readonly by: object; readonly renewAt: number }) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: WebhookServerDeps) {
    this.#deps = deps;
    this.#bodies = deps.bodies ?? new BodyReader();
    this.#now = deps.now ?? Date.now;
    this.#refusals = new RefusalLog(deps.logger, "an object was refused");
    this.#server = createServer(OPTIONS, (request, response) => {
      void this.#serve(request, response);
    });
    this.#server.maxConnections = deps.connections ?? WEBHOOK_CONNECTIONS;
    // Whoever keeps many of them for nothing keeps no API server out: its next attempt has room.
    this.#server.on("drop", () => this.#server.closeIdleConnections());
    this.#server.on("tlsClientError", (_error, socket) => socket.destroy());
  }

  /** Resolves with the port. Rejects with MeshError BIND_FAILED, or CA_EXPIRED. */
  async listen(host: string, port: number): Promise<number> {
    this.#renew();
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (cause) => {
        const hint = "is another istiod-lite running? --webhook-port takes another port";
        const message = `cannot listen on ${host} port ${port}`;
        reject(new MeshError("BIND_FAILED", message, { cause, hint }));
      });
      this.#server.listen({ host, port }, resolve);
    });
    this.#timer = setInterval(() => this.checkCertificate(), CERTIFICATE_CHECK_MS);
    this.#timer.unref();
    return (this.#server.address() as AddressInfo).port;
  }

  /** Lets reviews in progress end, for a moment. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const cut = setTimeout(() => this.#server.closeAllConnections(), WEBHOOK_SHUTDOWN_MS);
    await closed;
    clearTimeout(cut);
  }

  /** Another certificate at half the life of the one there is, and when another CA is in force. */
  checkCertificate(): void {
    const { by, renewAt } = this.#certificate ?? {};
    const isGood = by === this.#deps.authority.current && this.#now() < (renewAt ?? 0);
    if (isGood) return;
    try {
      this.#renew();
    } catch (error) {
      const why = describeError(error);
      this.#deps.logger.error("no new certificate for the webhook; the old one stays", { why });
    }
  }

  #renew(): void {
    const { current } = this.#deps.authority;
    const issued = current.issueServer(this.#deps.dnsNames);
    const now = this.#now();
    const renewAt = now + (issued.notAfter - now) / 2;
    this.#server.setSecureContext({ cert: issued.certChainPem, key: issued.privateKeyPem });
    this.#certificate = { ...issued, by: current, renewAt };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const refusal = misdirected(request);
      if (refusal !== undefined) return this.#refuse(response, ...refusal);
      const body = await this.#bodies.read(request);
      if (body === 413) return this.#refuse(response, 413, "the review is too large");
      if (body === 503) return this.#refuse(response, 503, "too many reviews at once");
      const { request: review, ...parsed } = parseReview(body);
      if (review === undefined) {
        const problem = "problem" in parsed ? parsed.problem : "is no review";
        return this.#refuse(response, 400, `the body ${problem}`);
      }
      const verdict = judge(review, this.#deps.preview);
      this.#tell(review, verdict);
      answer(response, 200, "application/json", answerReview(review.uid, verdict));
    } catch (error) {
      if (request.socket.destroyed) return;
      this.#deps.logger.error("a review could not be answered", { why: describeError(error) });
      this.#refuse(response, 500, "the review could not be answered");
    }
  }

  #tell(request: AdmissionRequest, verdict: Verdict): void {
    this.#deps.metrics.decided(request, verdict);
    if (verdict.allowed) return;
    const { kind, namespace, name, user } = request;
    const object = `${kind.kind}/${namespace}/${name}`.slice(0, 400);
    this.#refusals.warn({ object, user: user.slice(0, 200), why: verdict.message ?? "" });
  }

  #refuse(response: ServerResponse, status: number, message: string): void {
    this.#deps.metrics.httpError(status);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    // What is left of a body nobody reads.
    if (status === 413 || status === 503) response.setHeader("connection", "close");
    answer(response, status, "text/plain; charset=utf-8", `${message}\n`);
  }
}

function misdirected(request: IncomingMessage): [status: number, message: string] | undefined {
  const path = (request.url ?? "").split("?", 1)[0];
  if (path !== VALIDATE_PATH) return [404, `nothing is here: POST ${VALIDATE_PATH}`];
  if (request.method !== "POST") return [405, "POST an AdmissionReview"];
  const type = (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim();
  return type === "application/json" ? undefined : [415, "send application/json"];
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}
