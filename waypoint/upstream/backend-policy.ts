/** What of a backend's configuration holds for one of its ports, and which HTTP is spoken to it. */
import type { Service } from "#common/model/service.ts";
import type { BackendConfig, TrafficPolicy } from "#common/model/waypoint/backend.ts";
import { isGrpc } from "../route/request-view.ts";
import type { LeaseRequest, UpstreamProtocol } from "./upstream.ts";

/** A subset that says nothing of its own is treated as the backend. */
export function policyOf(
  config: BackendConfig,
  port: number,
  subset: BackendConfig["subsets"][string] | undefined,
): TrafficPolicy {
  const ofSubset = subset?.portPolicies?.[port] ?? subset?.policy ?? {};
  if (Object.keys(ofSubset).length > 0) return ofSubset;
  const ofPort = Object.hasOwn(config.portPolicies, port) ? config.portPolicies[port] : undefined;
  return ofPort ?? config.policy;
}

/**
 * What the port declares; where it declares nothing, what the client speaks. gRPC is HTTP/2
 * whatever is declared, an upgrade HTTP/1.1.
 */
export function upstreamProtocol(
  { backend, context, protocol }: LeaseRequest,
  service: Service | undefined,
  policy: TrafficPolicy,
): UpstreamProtocol {
  const { head } = context;
  if (head.upgrade !== undefined) return "http1";
  if (isGrpc(head)) return "http2";
  if (policy.connectionPool?.http2Upgrade === true) return "http2";
  const port = service?.ports.find(({ servicePort }) => servicePort === backend.port);
  switch (port?.appProtocol) {
    case "http11":
      return "http1";
    case "http2":
    case "grpc":
      return "http2";
    default:
      return protocol;
  }
}
