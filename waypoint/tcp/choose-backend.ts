/** Where a connection's bytes go: by TCPRoute or TLSRoute of its port, else to what was asked. */
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import type { PortConfig, TcpRule } from "#common/model/waypoint/resource.ts";
import { type ConnectionFailure, failure } from "#common/transport/failure.ts";
import type { Downstream } from "../filter/stage.ts";

type L4Rule = Pick<TcpRule, "consumerNamespace" | "backends">;

/** `random` is in [0, 1). Of a workload that was asked for itself, the host name is empty. */
export function chooseBackend(
  downstream: Downstream,
  random: number,
): BackendRef | ConnectionFailure {
  const backends = ruleOf(downstream)?.backends;
  return backends === undefined ? ownBackend(downstream) : weighted(backends, random);
}

/** The rule for a name, where the client named one; else the port's rule for whatever comes. */
function ruleOf({ port, peer, sni }: Downstream): L4Rule | undefined {
  if (port === undefined) return undefined;
  const { tls = [], tcp = [] } = port;
  const audience = audienceOf(port, peer.namespace);
  const isFor = (rule: L4Rule): boolean => rule.consumerNamespace === audience;
  const named =
    sni === undefined ? undefined : tls.find((rule) => isFor(rule) && covers(rule.sni, sni));
  return named ?? tcp.find(isFor);
}

/** Routes of the client's own namespace take the place of all that are for everybody. */
function audienceOf({ tls = [], tcp = [] }: PortConfig, namespace: string): string | undefined {
  const isOwn = (rule: L4Rule): boolean => rule.consumerNamespace === namespace;
  return tls.some(isOwn) || tcp.some(isOwn) ? namespace : undefined;
}

/** Exact, or `*.a.b` for everything below a.b; no name at all is every name. */
function covers(names: readonly string[], sni: string): boolean {
  if (names.length === 0) return true;
  return names.some((name) => (name.startsWith("*.") ? sni.endsWith(name.slice(1)) : name === sni));
}

function ownBackend({ service, workload, destination }: Downstream): BackendRef {
  const { port } = destination;
  if (service !== undefined) {
    return { namespace: service.namespace, hostname: service.hostname, port };
  }
  return { namespace: workload?.namespace ?? "", hostname: "", port };
}

function weighted(backends: TcpRule["backends"], random: number): BackendRef | ConnectionFailure {
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  let left = random * total;
  for (const { backend, invalid, weight } of backends) {
    left -= weight;
    if (left >= 0 || weight === 0) continue;
    return backend ?? failure("no-healthy-upstream", `invalid backend: ${invalid ?? "unknown"}`);
  }
  return failure("no-healthy-upstream", "no backend of the route has a weight");
}
