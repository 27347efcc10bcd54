/** The waypoint's own calls to services, over the connections that requests use. */
import type { Identity } from "#common/model/identity.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { CallService, ServiceCall } from "../filter/service-caller.ts";
import type { Downstream } from "../filter/stage.ts";
import { HeaderList } from "../http/header-list.ts";
import { collectResponse } from "./collect-response.ts";
import type { LeaseContext, Upstreams } from "./upstream.ts";

export interface ServiceCallerDeps {
  readonly upstreams: Pick<Upstreams, "lease">;
  /** The waypoint's: who calls where no client is behind a call. */
  readonly ownIdentity: Identity;
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

export function createServiceCaller(deps: ServiceCallerDeps): CallService {
  const { upstreams, now } = deps;
  return async (call) => {
    const signal = signalOf(call);
    const context = contextOf(call, signal, deps.ownIdentity);
    const { target: backend, protocol } = call;
    try {
      const lease = await upstreams.lease({ backend, context, protocol, exclude: NOBODY });
      if ("reason" in lease) return { failed: why(signal, call, lease.detail ?? lease.body) };
      const answer = await collectResponse(lease, call, { signal, now });
      return "failed" in answer ? { failed: why(signal, call, answer.failed) } : answer;
    } catch (error) {
      return { failed: describeError(error) };
    }
  };
}

const NOBODY: ReadonlySet<string> = new Set();

function signalOf({ context, timeoutMs }: ServiceCall): AbortSignal {
  const late = AbortSignal.timeout(timeoutMs);
  return context === undefined ? late : AbortSignal.any([context.signal, late]);
}

function why(signal: AbortSignal, call: ServiceCall, otherwise: string): string {
  if (call.context?.signal.aborted) return "the client has gone";
  return signal.aborted ? `no answer within ${call.timeoutMs} ms` : otherwise;
}

/**
 * The client's connection, but the call's own heads: an upgrade is the client's and not the call's,
 * a cookie for the service called is nothing to the client.
 */
function contextOf(call: ServiceCall, signal: AbortSignal, ownIdentity: Identity): LeaseContext {
  const downstream = call.context?.downstream ?? ownConnection(call, ownIdentity);
  return { downstream, head: call.head, responseHeaders: new HeaderList(), signal };
}

/** As if the waypoint were a client of itself. */
function ownConnection({ target }: ServiceCall, peer: Identity): Downstream {
  return {
    peer,
    sourceWorkload: undefined,
    source: { ip: LOOPBACK, port: 0 },
    destination: { host: target.hostname, port: target.port },
    service: undefined,
    port: undefined,
    workload: undefined,
    sni: undefined,
  };
}

const LOOPBACK = "127.0.0.1" as IpAddress;
