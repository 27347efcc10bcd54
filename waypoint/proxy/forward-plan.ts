/** Where a request goes and how, worked out before the first try. */
import type { BackendRef, HttpRule } from "#common/model/waypoint/http-route.ts";
import type { Workload } from "#common/model/workload.ts";
import type { LocalReply, RequestContext } from "../filter/stage.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../http/message.ts";
import type { Upstreams } from "../upstream/upstream.ts";
import type { ClientResponse } from "./client-response.ts";
import type { RequestBody } from "./request-body.ts";
import type { RetryPolicy } from "./retry-policy.ts";

export type Mirror = HttpRule["mirrors"][number];

export interface ForwardPlan {
  readonly backend: BackendRef;
  /** Of a request to a workload, not a service. */
  readonly workload?: Workload;
  /** As the upstream gets it. */
  readonly head: RequestHead;
  readonly bodyLength: BodyLength;
  readonly retry: RetryPolicy;
  /** From the end of the request to the end of the response; 0: none. */
  readonly timeoutMs: number;
  readonly mirrors: readonly Mirror[];
  /** Changes the header of the upstream's response before the client gets it. */
  readonly prepareResponse: (head: ResponseHead) => void;
}

export interface ForwardEnvironment {
  readonly upstreams: Upstreams;
  readonly context: RequestContext;
  readonly body: RequestBody;
  readonly response: ClientResponse;
  readonly now: () => number;
  readonly random: () => number;
  /** No try brought a response. Nothing of one has been sent. */
  readonly onRefused: (reply: LocalReply) => void;
  /** The response broke off after its head had been sent. */
  readonly onBroken: (reply: LocalReply) => void;
  /** The response has been handed over whole. */
  readonly onAnswered: () => void;
  /** Both ends of a tunnel were silent for too long. */
  readonly onIdle: () => void;
}
