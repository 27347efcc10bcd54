/** One request from its head to its record: stages, route, tries, response. */
import type { HttpRule } from "#common/model/waypoint/http-route.ts";
import type { GatewayConfig } from "#common/model/waypoint/resource.ts";
import { describeError } from "#common/runtime/errors.ts";
import { DELAYED, injectFault } from "../filter/fault.ts";
import type { Downstream, LocalReply, ReplyReason, StageResult } from "../filter/stage.ts";
import type {
  ExchangeError,
  ExchangeErrorCode,
  ServerExchange,
  ServerExchangeEvents,
} from "../http/exchange.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { RequestHead } from "../http/message.ts";
import type { Route } from "../route/route.ts";
import { ClientResponse } from "./client-response.ts";
import type { ProxyDependencies } from "./dependencies.ts";
import type { ForwardPlan } from "./forward-plan.ts";
import { Forwarding } from "./forwarding.ts";
import { DRAIN_MS } from "./limits.ts";
import { LiveContext } from "./live-context.ts";
import type { Mirrors } from "./mirror.ts";
import { RequestBody } from "./request-body.ts";
import type { RequestRecord, ResponseFlag } from "./request-record.ts";
import { flagOf } from "./response-flags.ts";
import { planDirect, planRoute, type Router, routeOf, routeReply } from "./route-plan.ts";

export interface RunDependencies extends ProxyDependencies {
  readonly mirrors: Mirrors;
  readonly router: Router;
}

export interface IncomingRequest {
  readonly gateway: GatewayConfig;
  readonly downstream: Downstream;
  readonly exchange: ServerExchange;
  readonly head: RequestHead;
  readonly id: string;
}

export class RequestRun implements ServerExchangeEvents {
  readonly #deps: RunDependencies;
  readonly #exchange: ServerExchange;
  readonly #context: LiveContext;
  readonly #body: RequestBody;
  readonly #response: ClientResponse;
  readonly #onOver: () => void;
  readonly #startedAt: number;
  readonly #startedAtMs: number;
  readonly #flags: ResponseFlag[] = [];
  #reply: LocalReply | undefined;
  #rule: HttpRule | undefined;
  #plan: ForwardPlan | undefined;
  #forwarding: Forwarding | undefined;
  #drainTimer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(deps: RunDependencies, request: IncomingRequest, onOver: () => void) {
    const { gateway, downstream, exchange, head, id } = request;
    this.#deps = deps;
    this.#exchange = exchange;
    this.#context = new LiveContext(gateway, downstream, head, id);
    this.#body = new RequestBody(exchange);
    this.#context.body = this.#body;
    this.#context.router = deps.router;
    this.#response = new ClientResponse(exchange, this.#context.responseHeaders);
    this.#onOver = onOver;
    this.#startedAt = deps.now();
    this.#startedAtMs = deps.wallClock();
  }

  /** Refused before any stage: it is malformed, or there is no room for it. */
  refuse(reply: LocalReply): void {
    this.#exchange.start(this);
    this.#answer(reply);
  }

  begin(): void {
    this.#exchange.start(this);
    this.#guard(() => this.#runStages(0));
  }

  onData(chunk: Uint8Array): boolean {
    this.#forwarding?.onClientData();
    return this.#body.onData(chunk);
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.#body.onEnd(trailers);
    if (this.#body.complete) this.#forwarding?.onRequestComplete();
  }

  onDrain(): void {
    this.#forwarding?.resume();
  }

  onClosed(error: ExchangeError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#drainTimer);
    if (error === undefined) this.#forwarding?.clientDone();
    else this.#forwarding?.cancel();
    if (error !== undefined && this.#reply === undefined) {
      this.#note({ status: 0, reason: WHY_CLOSED[error.code], body: "", detail: error.message });
    }
    this.#context.abort();
    this.#onOver();
    this.#deps.sink(this.#record());
  }

  #runStages(from: number): void {
    const { stages } = this.#deps;
    for (let i = from; i < stages.length; i++) {
      const result = stages[i]?.(this.#context);
      if (result instanceof Promise) {
        this.#await(result, () => this.#runStages(i + 1));
        return;
      }
      if (result !== undefined) {
        this.#answer(result);
        return;
      }
    }
    this.#route();
  }

  /** Whatever goes wrong in a stage, the request does not go on. */
  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#answer(internalError(error));
    }
  }

  #await(stage: Promise<StageResult>, next: () => void): void {
    stage.then(
      (result) => {
        if (this.#over) return;
        if (result === undefined) this.#guard(next);
        else this.#answer(result);
      },
      (error: unknown) => this.#answer(internalError(error)),
    );
  }

  #route(): void {
    const found = routeOf(this.#context, this.#deps);
    if (found === undefined) {
      this.#forward(planDirect(this.#context, this.#exchange.body));
      return;
    }
    if ("reason" in found) {
      this.#answer(found);
      return;
    }
    this.#rule = found.rule;
    const reply = routeReply(this.#context, found);
    const fault = reply ?? injectFault(this.#context, found, this.#deps);
    if (fault instanceof Promise) this.#await(fault, () => this.#follow(found));
    else if (fault === undefined) this.#follow(found);
    else this.#answer(fault);
  }

  #follow(route: Route): void {
    this.#forward(planRoute(this.#context, route, this.#exchange.body, this.#deps));
  }

  #forward(plan: ForwardPlan | LocalReply): void {
    if ("reason" in plan) {
      this.#answer(plan);
      return;
    }
    const { upstreams, now, random, mirrors } = this.#deps;
    this.#plan = plan;
    this.#forwarding = new Forwarding(plan, {
      upstreams,
      now,
      random,
      context: this.#context,
      body: this.#body,
      response: this.#response,
      onRefused: (reply) => this.#answer(reply),
      onBroken: (reply) => {
        this.#note(reply);
        this.#exchange.reset("reset");
      },
      onAnswered: () => this.#drain(),
      onIdle: () => {
        this.#note({ status: 0, reason: "request-timeout", body: "", detail: "idle tunnel" });
        this.#exchange.reset("timeout");
      },
    });
    if (plan.mirrors.length > 0) {
      const { head, bodyLength } = plan;
      const copied = { context: this.#context, head, bodyLength, body: this.#body };
      mirrors.send(plan.mirrors, copied);
    }
    this.#forwarding.start();
  }

  #answer(reply: LocalReply): void {
    if (this.#over || this.#response.started) return;
    this.#note(reply);
    this.#context.abort();
    this.#response.reply(reply, this.#context);
    this.#drain();
  }

  #note(reply: LocalReply): void {
    this.#reply = reply;
    const flag = flagOf(reply.reason);
    if (flag !== undefined) this.#flags.push(flag);
  }

  /** A client that has its answer may finish its request, within bounds. */
  #drain(): void {
    if (this.#over || this.#body.complete) return;
    this.#body.discardRest();
    this.#drainTimer = setTimeout(() => this.#exchange.reset("timeout"), DRAIN_MS);
  }

  #record(): RequestRecord {
    const response = this.#response;
    const forwarding = this.#forwarding;
    if (forwarding?.flag !== undefined && !this.#flags.includes(forwarding.flag)) {
      this.#flags.push(forwarding.flag);
    }
    if (this.#context.notes.includes(DELAYED)) this.#flags.push("DI");
    return {
      context: this.#context,
      startedAtMs: this.#startedAtMs,
      durationMs: this.#deps.now() - this.#startedAt,
      requestBytes: this.#body.bytes,
      responseBytes: response.bytes,
      status: response.status,
      grpcStatus: response.grpcStatus,
      responseHeaders: response.headers,
      flags: this.#flags,
      reason: this.#reply?.reason,
      detail: this.#reply?.detail,
      route: this.#rule?.origin,
      backend: this.#plan?.backend,
      endpoint: forwarding?.endpoint,
      attempts: forwarding?.attempts ?? 0,
      upstreamMs: forwarding?.upstreamMs,
      upgraded: forwarding?.upgraded ?? false,
    };
  }
}

/** Of an exchange that its codec ended, having answered itself where it could. */
const WHY_CLOSED: Readonly<Record<ExchangeErrorCode, ReplyReason>> = {
  "not-sent": "client-left",
  reset: "client-left",
  protocol: "bad-request",
  limit: "limit-reached",
  timeout: "request-timeout",
};

function internalError(error: unknown): LocalReply {
  return {
    status: 500,
    reason: "internal-error",
    body: "the waypoint could not decide about this request",
    detail: describeError(error),
  };
}
