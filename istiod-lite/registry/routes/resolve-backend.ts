/** From a reference of a route to the service and port that it means, or why it means none. */
import type { BackendObjectReference } from "#common/kubernetes/route-objects.ts";
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import type { Mesh, ServiceFacts } from "../waypoints/contributions.ts";
import type { Grants } from "./grants.ts";
import type { HostIndex } from "./host-index.ts";
import { backendTarget, type ServiceReference } from "./reference-keys.ts";
import type { RouteIssue } from "./route-issue.ts";

type Cause = RouteIssue["cause"];

export type Resolved =
  | { readonly backend: BackendRef }
  | { readonly backend?: never; readonly cause: Cause; readonly message: string };

/** What resolving needs to know of the route that refers. */
export interface Referrer {
  readonly kind: string;
  readonly namespace: string;
  /** What the route is attached to: its requests were on their way there anyway. */
  readonly parents: readonly ServiceReference[];
}

export interface ResolveDeps {
  readonly mesh: Mesh;
  readonly grants: Grants;
  readonly hosts: HostIndex;
}

export function resolveBackend(
  ref: BackendObjectReference,
  from: Referrer,
  deps: ResolveDeps,
): Resolved {
  const target = backendTarget(ref, from.namespace);
  if (target === undefined) {
    const kind = `${ref.group === undefined || ref.group === "" ? "" : `${ref.group}/`}${ref.kind}`;
    return failed("InvalidKind", `${kind} is no kind of backend: name a Service or ServiceEntry`);
  }
  const found = "host" in target ? ownerOf(target.host, from.namespace, deps) : target;
  if (found === undefined) return failed("BackendNotFound", `there is no host ${ref.name}`);
  const { kind, namespace, name } = found;
  if (!mayRefer(found, from, deps.grants)) {
    const message =
      `${kind} ${namespace}/${name} is in another namespace: a ReferenceGrant there has to ` +
      `permit it for kind ${from.kind} of namespace ${from.namespace}`;
    return failed("RefNotPermitted", message);
  }
  const services = deps.mesh.serviceByRef(kind, namespace, name);
  const isMeant = (facts: ServiceFacts) => !("host" in target) || facts.hostname === target.host;
  const service = services.find(isMeant);
  if (service === undefined) {
    return failed("BackendNotFound", `there is no ${kind} ${namespace}/${name}`);
  }
  return withPort(ref.port, service);
}

function withPort(port: number | undefined, service: ServiceFacts): Resolved {
  const { kind, namespace, name, hostname, ports } = service;
  const wanted = port ?? (ports.length === 1 ? ports[0]?.port : undefined);
  if (wanted === undefined) {
    return failed(
      "BackendNotFound",
      `${kind} ${namespace}/${name} has ${list(service)}: say which`,
    );
  }
  if (!ports.some((known) => known.port === wanted)) {
    const message = `${kind} ${namespace}/${name} has no port ${wanted}, it has ${list(service)}`;
    return failed("BackendNotFound", message);
  }
  return { backend: { namespace, hostname, port: wanted } };
}

/** "port 80 (http), port 90". */
export function list({ ports }: ServiceFacts): string {
  const named = ports.map(({ port, name }) => `port ${port}${name === "" ? "" : ` (${name})`}`);
  return named.length === 0 ? "no ports" : named.join(", ");
}

/** Nothing is opened by leading requests back to where they were on their way. */
function mayRefer(to: ServiceReference, from: Referrer, grants: Grants): boolean {
  if (to.namespace === from.namespace) return true;
  const isParent = from.parents.some(
    ({ kind, namespace, name }) =>
      kind === to.kind && namespace === to.namespace && name === to.name,
  );
  return isParent || grants.permits(from.kind, from.namespace, to);
}

/** Whose host it is: the own namespace's, a Service's, else the first entry's that claims it. */
function ownerOf(
  host: string,
  namespace: string,
  { mesh, hosts }: ResolveDeps,
): ServiceReference | undefined {
  const [, serviceNamespace = ""] = host.split(".");
  const entries = hosts.claimants(host).map((key) => key.split("/")[0] ?? "");
  for (const candidate of [namespace, serviceNamespace, ...entries]) {
    const facts = mesh.service(candidate, host);
    if (facts !== undefined) return facts;
  }
  return undefined;
}

function failed(
  reason: "RefNotPermitted" | "InvalidKind" | "BackendNotFound",
  message: string,
): Resolved {
  return { cause: { kind: "reference", reason }, message };
}
