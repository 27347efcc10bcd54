/** The context of one request, as the stages see it. */
import type { Origin } from "#common/model/waypoint/http-route.ts";
import type { GatewayConfig } from "#common/model/waypoint/resource.ts";
import type { Downstream, PeekedBody, RequestContext, VerifiedToken } from "../filter/stage.ts";
import { HeaderList } from "../http/header-list.ts";
import type { RequestHead } from "../http/message.ts";
import type { Router } from "./route-plan.ts";

export class LiveContext implements RequestContext {
  readonly downstream: Downstream;
  readonly gateway: GatewayConfig;
  readonly head: RequestHead;
  readonly id: string;
  readonly tokens: VerifiedToken[] = [];
  readonly responseHeaders = new HeaderList();
  readonly notes: string[] = [];
  /** Where `peekBody` has it from; a mirror's context has none. */
  body: { peek(maxBytes: number): Promise<PeekedBody> } | undefined;
  /** Where `routeOrigin` has it from. */
  router: Router | undefined;
  #controller: AbortController | undefined;
  #aborted = false;

  constructor(gateway: GatewayConfig, downstream: Downstream, head: RequestHead, id: string) {
    this.gateway = gateway;
    this.downstream = downstream;
    this.head = head;
    this.id = id;
  }

  /** Made when first asked for: few requests wait for anything. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  peekBody(maxBytes: number): Promise<PeekedBody> {
    return this.body?.peek(maxBytes) ?? Promise.reject(new Error("there is no body to read"));
  }

  routeOrigin(): Origin | undefined {
    return this.router?.ruleOf(this);
  }

  abort(): void {
    this.#aborted = true;
    this.#controller?.abort();
  }
}
