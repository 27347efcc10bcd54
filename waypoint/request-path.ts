/**
 * The way of a request through the waypoint, put together from its parts: codecs, stages in their
 * order, routes, upstreams.
 */

import { setImmediate as turn } from "node:timers/promises";
import type { Identity } from "#common/model/identity.ts";
import { pause } from "#common/runtime/pause.ts";
import { type ConnectionFailure, failure } from "#common/transport/failure.ts";
import type { Parts, PartsContext } from "./data-plane.ts";
import { createAuthorizationStage } from "./filter/authorization/authorization-stage.ts";
import { authorizeConnection } from "./filter/authorization/authorize-connection.ts";
import { PolicySets } from "./filter/authorization/policy-sets.ts";
import { checkConnection, unsettledRules } from "./filter/ext-authz/check-connection.ts";
import { createExternalAuthorizationStage } from "./filter/ext-authz/ext-authz-stage.ts";
import { JwksCache } from "./filter/jwt/jwks-cache.ts";
import { createJwksFetch } from "./filter/jwt/jwks-fetch.ts";
import { createMeshJwksFetch, serviceByHost } from "./filter/jwt/jwks-over-mesh.ts";
import { createJwtStage } from "./filter/jwt/jwt-stage.ts";
import { normaliseRequest } from "./filter/normalise.ts";
import { DEFAULT_PATH_NORMALISATION } from "./filter/normalise-path.ts";
import { createRateLimitStage } from "./filter/rate-limit/rate-limit-stage.ts";
import type { CallService } from "./filter/service-caller.ts";
import type { Stage } from "./filter/stage.ts";
import type { HttpCodec } from "./http/engine.ts";
import { http2Codec } from "./http/h2/h2-codec.ts";
import { createHttpService } from "./http-service.ts";
import { HTTP_LIMITS } from "./limits.ts";
import { createRequestHandling, newRequestId } from "./proxy/request-handler.ts";
import type { AuthorizeConnection } from "./tcp/authorize.ts";
import type { RequestTelemetry } from "./telemetry/request-telemetry.ts";
import { createHostResolver } from "./upstream/host-resolver.ts";
import { MeshUpstreams } from "./upstream/mesh-upstreams.ts";
import { createServiceCaller } from "./upstream/service-caller.ts";

export interface RequestPathOptions {
  readonly ownIdentity: Identity;
  /** Of the pod's own workload record. */
  readonly ownUid: string;
  /** What carries HTTP/1.1. */
  readonly http1: HttpCodec;
  /** `call` is for what tells of requests to services of the mesh. */
  readonly telemetry: (call: CallService) => RequestPathTelemetry;
}

export interface RequestPathTelemetry extends Pick<RequestTelemetry, "stage" | "sink"> {
  /** Tells what is still to be told, before the connections to services close. Never rejects. */
  readonly settle: () => Promise<void>;
}

export function createRequestPath(context: PartsContext, options: RequestPathOptions): Parts {
  const { store, tables } = context;
  const requests = new PolicySets("http");
  const connections = new PolicySets("connection");
  const codecs = { http1: options.http1, http2: http2Codec };
  const upstreams = createUpstreams(context, options, codecs);
  const call = createServiceCaller({ upstreams, ownIdentity: options.ownIdentity, now });
  const telemetry = options.telemetry(call);
  const { handle } = createRequestHandling({
    gateway: () => store.current.gateway,
    routeTable: (routes) => tables.tableOf(routes),
    normalise: (head) => {
      const mode = store.current.gateway?.pathNormalization ?? DEFAULT_PATH_NORMALISATION;
      return normaliseRequest(head, mode);
    },
    stages: [telemetry.stage, ...stages(requests, call, context)],
    upstreams,
    sink: telemetry.sink,
    ownIdentity: () => options.ownIdentity.uri,
    newId: newRequestId,
    sleep: pause,
    now,
    wallClock: Date.now,
    random: Math.random,
  });
  return {
    upstreams,
    serveHttp: createHttpService({ codecs, limits: HTTP_LIMITS, handle }),
    authorize: connectionAuthorizer(context, connections, call),
    prepare: (policies) => requests.prepare(policies, SLICES),
    settle: telemetry.settle,
    close: () => upstreams.close(),
  };
}

const now = (): number => performance.now();

function createUpstreams(
  { mesh, store, dial }: PartsContext,
  { ownUid }: RequestPathOptions,
  codecs: Readonly<Record<"http1" | "http2", HttpCodec>>,
): MeshUpstreams {
  return new MeshUpstreams({
    mesh,
    dial,
    codecs,
    codecLimits: HTTP_LIMITS,
    resolve: createHostResolver(now),
    backend: (namespace, hostname) => store.current.backend(namespace, hostname),
    self: () => mesh.findWorkloadByUid(ownUid),
    now,
    random: Math.random,
  });
}

/** In the order in which they are asked, between the trace and the route. */
function stages(
  policySets: PolicySets,
  call: CallService,
  { mesh, store }: PartsContext,
): readonly Stage[] {
  const serviceOf = (hostname: string, port: number) =>
    serviceByHost(mesh, { hostname, port }, store.current.gateway?.namespace ?? "");
  const fetch = createMeshJwksFetch({ serviceOf, call, direct: createJwksFetch() });
  const jwks = new JwksCache({ fetch, now });
  return [
    createJwtStage({ jwks, now: Date.now }),
    createAuthorizationStage(policySets),
    createExternalAuthorizationStage(policySets, { call, now: Date.now }),
    createRateLimitStage({ call, now }),
  ];
}

/** Policies on connections that are no HTTP; without a gateway nobody says who may pass. */
function connectionAuthorizer(
  { store }: PartsContext,
  sets: PolicySets,
  call: CallService,
): AuthorizeConnection {
  const deps = { call, now: Date.now };
  return (connection) => {
    const { gateway } = store.current;
    if (gateway === undefined) return failure("policies-not-ready", "the Gateway is gone");
    const { denied, custom } = authorizeConnection(connection.downstream, gateway, sets);
    if (denied !== undefined) {
      const isAllow = denied.reason === "no-allow-matched";
      return rejected(isAllow ? "no-allow-matched" : "explicit-deny", denied.detail);
    }
    const { permits } = connection;
    if (custom.length === 0 || unsettledRules(custom, permits).length === 0) return undefined;
    return async () => {
      const why = await checkConnection(custom, connection, permits, deps);
      return why === undefined ? undefined : rejected("explicit-deny", why);
    };
  };
}

/** Istio ztunnel's words. */
function rejected(reason: ConnectionFailure["reason"], detail: string): ConnectionFailure {
  return failure(reason, `connection closed due to policy rejection: ${detail}`);
}

const SLICES = { now: () => performance.now(), pause: () => turn() };
