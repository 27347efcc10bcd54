/** Requests that are over, for tests: frontend asked the shop's reviews, and v1 answered. */
import { ip, pod } from "#common/mesh-state/test-records.ts";
import type { Telemetry } from "#common/model/waypoint/policy.ts";
import type { ServiceConfig } from "#common/model/waypoint/resource.ts";
import { context, downstream, GATEWAY } from "../filter/filter-fixtures.ts";
import type { Downstream } from "../filter/stage.ts";
import type { RequestRecord } from "../proxy/request-record.ts";
import { head } from "../route/route-fixtures.ts";
import type { TracedProxy } from "./span.ts";

export const PROXY: TracedProxy = {
  name: "waypoint",
  namespace: "shop",
  clusterId: "Kubernetes",
  meshId: "cluster.local",
  podName: "waypoint-7d4f",
};

export const SERVICE: ServiceConfig = {
  kind: "service",
  namespace: "shop",
  hostname: "reviews.shop.svc.cluster.local",
  serviceName: "reviews",
  addresses: ["10.96.0.1"],
  ports: [],
  policies: GATEWAY.policies,
};

export function telemetry(fields: Partial<Telemetry> = {}): Telemetry {
  return { ...GATEWAY.telemetry, ...fields };
}

const frontend = pod("frontend-1", ["10.0.0.1"], {
  workloadName: "frontend",
  canonicalName: "frontend",
});
const reviews = pod("reviews-v1-1", ["10.0.1.2"], {
  workloadName: "reviews-v1",
  canonicalName: "reviews",
  canonicalRevision: "v1",
});

export interface RecordFields extends Partial<Omit<RequestRecord, "context">> {
  readonly head?: ReturnType<typeof head>;
  readonly downstream?: Partial<Downstream>;
  readonly telemetry?: Telemetry;
  readonly notes?: string[];
}

export function record(fields: RecordFields = {}): RequestRecord {
  const { head: request, downstream: client, telemetry: settings, notes, ...rest } = fields;
  const asked = { sourceWorkload: frontend, service: SERVICE, ...client };
  return {
    context: context({
      head:
        request ??
        head("/reviews/0?full=1", { "user-agent": "curl/8.5", "x-forwarded-for": "10.0.0.1" }),
      downstream: downstream(asked),
      gateway: { ...GATEWAY, telemetry: settings ?? GATEWAY.telemetry },
      id: "0af76519-16cd-43dd-8448-eb211c80319c",
      notes: notes ?? [],
    }),
    startedAtMs: 0,
    durationMs: 12.4,
    requestBytes: 0,
    responseBytes: 295,
    status: 200,
    grpcStatus: undefined,
    responseHeaders: undefined,
    flags: [],
    reason: undefined,
    detail: undefined,
    route: { kind: "HTTPRoute", namespace: "shop", name: "reviews", rule: 1 },
    backend: { namespace: "shop", hostname: SERVICE.hostname, port: 9080 },
    endpoint: {
      workload: reviews,
      address: { ip: ip("10.0.1.2"), port: 9080 },
      transport: "hbone",
    },
    attempts: 1,
    upstreamMs: 11.2,
    upgraded: false,
    ...rest,
  };
}
