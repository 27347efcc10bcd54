/**
 * A request on its way to one backend: try after try until one brings a response, which goes to the
 * client as it comes.
 */
import type { LocalReply } from "../filter/stage.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { BodyLength, ResponseHead } from "../http/message.ts";
import type { Endpoint, Lease, LeaseRefusal, LeaseRequest } from "../upstream/upstream.ts";
import { Attempt, type AttemptEvents } from "./attempt.ts";
import type { ForwardEnvironment, ForwardPlan } from "./forward-plan.ts";
import { DRAIN_MS, HALF_CLOSED_TUNNEL_MS, TUNNEL_IDLE_MS } from "./limits.ts";
import type { ResponseFlag } from "./request-record.ts";
import { retriesFailure, retriesResponse, type TryFailure } from "./retry-policy.ts";
import { RetryState } from "./retry-state.ts";
import { noConnection, TRY_TIMEOUT, UNASKED_UPGRADE, WHOLE_TIMEOUT } from "./upstream-replies.ts";

export class Forwarding implements AttemptEvents {
  /** Tries that were begun. */
  attempts = 0;
  /** Of the last try that got a connection. */
  endpoint: Endpoint | undefined;
  /** From sending the request of the last try to the head of its response. */
  upstreamMs: number | undefined;
  readonly #plan: ForwardPlan;
  readonly #environment: ForwardEnvironment;
  readonly #tried = new Set<string>();
  readonly #retries: RetryState;
  /** The try that is under way. */
  #attempt: Attempt | undefined;
  #requestComplete = false;
  #over = false;
  #clientDone = false;
  #wholeTimer: NodeJS.Timeout | undefined;
  #tryTimer: NodeJS.Timeout | undefined;
  #pause: NodeJS.Timeout | undefined;
  /** Of a tunnel. */
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(plan: ForwardPlan, environment: ForwardEnvironment) {
    this.#plan = plan;
    this.#environment = environment;
    this.#retries = new RetryState(plan.retry, () =>
      environment.upstreams.permitRetry(plan.backend, plan.workload),
    );
  }

  /** Why a try that failed was the last. */
  get flag(): ResponseFlag | undefined {
    return this.#retries.flag;
  }

  start(): void {
    if (this.#environment.body.complete) this.onRequestComplete();
    this.#try();
  }

  /** All of the request has come: timeouts count from here. Source: Envoy, RouteAction.timeout. */
  onRequestComplete(): void {
    if (this.#requestComplete || this.#over) return;
    this.#requestComplete = true;
    const { timeoutMs } = this.#plan;
    if (timeoutMs > 0) this.#wholeTimer = setTimeout(() => this.#onWholeTimeout(), timeoutMs);
    if (this.#attempt !== undefined) this.#startTryTimer();
  }

  get upgraded(): boolean {
    return this.#idleTimer !== undefined;
  }

  /** The client sent something. */
  onClientData(): void {
    this.#idleTimer?.refresh();
  }

  /** The client takes more of the response. */
  resume(): void {
    this.#attempt?.resume();
  }

  /** The client has gone. */
  cancel(): void {
    this.#end();
    this.#attempt?.cancel();
  }

  /** The client has all that it wants; the upstream may be about to say that this was all. */
  clientDone(): void {
    this.#end();
    if (this.#attempt?.unanswered) {
      this.#clientDone = true;
      this.#pause = setTimeout(() => this.#attempt?.cancel(), DRAIN_MS);
    }
  }

  onInformation(head: ResponseHead): void {
    this.#environment.response.inform(head);
  }

  onHead(head: ResponseHead, length: BodyLength): void {
    const { retry, head: request, prepareResponse } = this.#plan;
    const { body, response } = this.#environment;
    const attempt = this.#attempt;
    clearTimeout(this.#tryTimer);
    this.upstreamMs = attempt?.upstreamMs;
    if (head.status === 101 && request.upgrade === undefined) {
      attempt?.cancel(true);
      this.onFailed("reset", UNASKED_UPGRADE);
      return;
    }
    if (retriesResponse(retry, request.method, head) && this.#tryAgain()) {
      this.#attempt = undefined;
      body.detach();
      attempt?.discard(length);
      return;
    }
    this.#retries.release();
    body.forget();
    prepareResponse(head);
    response.respond(head, length);
    if (head.status === 101) this.#becomeTunnel();
  }

  onData(chunk: Uint8Array): boolean {
    if (this.#clientDone) {
      this.#attempt?.cancel();
      return false;
    }
    this.#idleTimer?.refresh();
    return this.#environment.response.write(chunk);
  }

  onEnd(trailers: HeaderList | undefined): void {
    const { response, body, onAnswered, onIdle } = this.#environment;
    response.end(trailers);
    if (this.upgraded) {
      // The other direction goes on, but not for long without this one.
      clearTimeout(this.#idleTimer);
      if (!this.#over) this.#idleTimer = setTimeout(onIdle, HALF_CLOSED_TUNNEL_MS);
      return;
    }
    this.#end();
    // An upstream that has answered wants no more of the request.
    if (!body.complete) this.#attempt?.cancel();
    onAnswered();
  }

  onDrain(): void {
    this.#environment.body.drained();
  }

  onFailed(failure: TryFailure, reply: LocalReply): void {
    const { response, body, onBroken, onRefused } = this.#environment;
    const { retry, head } = this.#plan;
    const reused = this.#attempt?.reused === true;
    clearTimeout(this.#tryTimer);
    this.#attempt = undefined;
    body.detach();
    if (response.started) {
      this.#end();
      onBroken(reply);
    } else if (body.replayable && this.#retries.takeFree(failure, head.method, reused)) {
      this.#try();
    } else if (!retriesFailure(retry, head.method, failure) || !this.#tryAgain()) {
      this.#end();
      onRefused(reply);
    }
  }

  #try(): void {
    const { upstreams, context } = this.#environment;
    const { backend, workload, head } = this.#plan;
    this.attempts++;
    const request: LeaseRequest = {
      backend,
      ...(workload !== undefined && { workload }),
      context,
      protocol: head.version === "2" ? "http2" : "http1",
      exclude: this.#tried,
    };
    upstreams.lease(request).then(
      (lease) => {
        if (!("connection" in lease)) this.#onRefusal(lease);
        else if (this.#over) lease.finished({ kind: "unused" });
        else this.#begin(lease);
      },
      (error: unknown) => this.#onRefusal(noConnection(error)),
    );
  }

  #begin(lease: Lease): void {
    const { head, bodyLength } = this.#plan;
    const { body, now } = this.#environment;
    this.endpoint = lease.endpoint;
    this.#tried.add(lease.endpoint.workload.uid);
    const attempt = new Attempt(lease, now, this);
    this.#attempt = attempt;
    if (!attempt.begin(head, bodyLength)) return;
    if (bodyLength.kind !== "none") body.attach(attempt);
    if (!this.#plan.retry.retry.attempts) body.forget();
    if (this.#requestComplete) this.#startTryTimer();
  }

  #onRefusal(refusal: LeaseRefusal): void {
    if (this.#over) return;
    if (refusal.endpoint !== undefined) {
      this.endpoint = refusal.endpoint;
      this.#tried.add(refusal.endpoint.workload.uid);
    }
    if (refusal.reason === "upstream-connect-failure") {
      this.onFailed("not-connected", refusal);
      return;
    }
    this.#end();
    this.#environment.onRefused(refusal);
  }

  #becomeTunnel(): void {
    const { body, onIdle } = this.#environment;
    clearTimeout(this.#wholeTimer);
    if (this.#attempt !== undefined) body.tunnelTo(this.#attempt);
    this.#idleTimer = setTimeout(onIdle, TUNNEL_IDLE_MS);
  }

  #startTryTimer(): void {
    const { perTryTimeoutMs } = this.#plan.retry.retry;
    if (perTryTimeoutMs === undefined || perTryTimeoutMs === 0) return;
    clearTimeout(this.#tryTimer);
    this.#tryTimer = setTimeout(() => {
      // What has begun to arrive may take as long as the whole.
      if (this.#environment.response.started) return;
      this.#attempt?.cancel(true);
      this.onFailed("per-try-timeout", TRY_TIMEOUT);
    }, perTryTimeoutMs);
  }

  #onWholeTimeout(): void {
    const { response, onBroken, onRefused } = this.#environment;
    this.#end();
    this.#attempt?.cancel(true);
    if (response.started) onBroken(WHOLE_TIMEOUT);
    else onRefused(WHOLE_TIMEOUT);
  }

  /** Whether another try follows. */
  #tryAgain(): boolean {
    const { body, random } = this.#environment;
    const delayMs = body.replayable ? this.#retries.take(random) : undefined;
    if (delayMs === undefined) return false;
    this.#pause = setTimeout(() => this.#try(), delayMs);
    return true;
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#wholeTimer);
    clearTimeout(this.#tryTimer);
    clearTimeout(this.#pause);
    clearTimeout(this.#idleTimer);
    this.#retries.release();
  }
}
