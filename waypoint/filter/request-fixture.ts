/** Requests on their way through the stages, and configuration for them: for tests. */
import type {
  JwtRule,
  L7Authorization,
  L7Policies,
  RateLimit,
} from "#common/model/waypoint/policy.ts";
import type { GatewayConfig, ServiceConfig } from "#common/model/waypoint/resource.ts";
import { HeaderList } from "../http/header-list.ts";
import { context, downstream, GATEWAY } from "./filter-fixtures.ts";
import type { Downstream, RequestContext, Stage, StageResult } from "./stage.ts";

const NO_POLICIES: L7Policies = { requestAuthentications: [], authorizations: [], rateLimits: [] };

export function gatewayWith(policies: Partial<L7Policies>): GatewayConfig {
  return { ...GATEWAY, policies: { ...NO_POLICIES, ...policies } };
}

export function serviceWith(policies: Partial<L7Policies>): ServiceConfig {
  return {
    kind: "service",
    namespace: "shop",
    hostname: "web.shop.svc.cluster.local",
    serviceName: "web",
    addresses: ["10.96.0.10"],
    ports: [],
    policies: { ...NO_POLICIES, ...policies },
  };
}

/** An enforced policy, `shop/<name>`. */
export function authorization(
  name: string,
  action: L7Authorization["action"],
  rules: readonly Partial<L7Authorization["rules"][number]>[],
): L7Authorization {
  const whole = rules.map((rule) => ({ from: [], to: [], when: [], ...rule }));
  return { key: `shop/${name}`, action, dryRun: false, rules: whole };
}

export function jwtRule(rule: Partial<JwtRule> & Pick<JwtRule, "issuer">): JwtRule {
  const empty = { audiences: [], locations: [], outputClaimToHeaders: [] };
  return { ...empty, forwardOriginalToken: false, ...rule };
}

export function rateLimit(limit: Partial<RateLimit>): RateLimit {
  return { key: "shop/limits[0]", matches: [], descriptors: [], ...limit };
}

export interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly policies?: Partial<L7Policies>;
  readonly gateway?: GatewayConfig;
  readonly downstream?: Partial<Downstream>;
  readonly signal?: AbortSignal;
}

/** GET / of shop/frontend at 10.0.0.1 to the service that has the policies. */
export function request(options: RequestOptions = {}): RequestContext {
  const { method = "GET", path = "/", authority = "web.shop", headers = [] } = options;
  return context({
    downstream: downstream({ service: serviceWith(options.policies ?? {}), ...options.downstream }),
    gateway: options.gateway ?? GATEWAY,
    head: {
      version: "1.1",
      method,
      scheme: "http",
      authority,
      path,
      headers: new HeaderList(headers.flat()),
    },
    ...(options.signal && { signal: options.signal }),
  });
}

/** What the stage made of the request: `200` where it goes on. */
export async function statusOf(stage: Stage, context: RequestContext): Promise<number> {
  const result: StageResult = await stage(context);
  return result?.status ?? 200;
}
