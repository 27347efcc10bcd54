/**
 * Key sets of servers that are services of the mesh: asked for over the mesh, with the waypoint's
 * identity, so that STRICT mutual TLS does not keep it out. The rules are those of a direct fetch:
 * no redirects, bounded in size and time. Other hosts, and https, whose TLS is between the waypoint
 * and the server, are fetched directly.
 */
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import type { Service } from "#common/model/service.ts";
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import { HeaderList } from "../../http/header-list.ts";
import type { RequestHead } from "../../http/message.ts";
import type { CallService } from "../service-caller.ts";
import type { FetchJwks } from "./jwks-cache.ts";
import { fetchFailure, refusedStatus } from "./jwks-fetch.ts";
import { JWKS_BYTES } from "./limits.ts";

export interface MeshFetchDeps {
  /** Undefined where the mesh has no such service, or it no such port. */
  readonly serviceOf: (hostname: string, port: number) => BackendRef | undefined;
  readonly call: CallService;
  readonly direct: FetchJwks;
}

const HTTP_PORT = 80;

export function createMeshJwksFetch({ serviceOf, call, direct }: MeshFetchDeps): FetchJwks {
  return async (uri, timeoutMs) => {
    const url = URL.parse(uri);
    if (url?.protocol !== "http:") return direct(uri, timeoutMs);
    const target = serviceOf(url.hostname, Number(url.port || HTTP_PORT));
    if (target === undefined) return direct(uri, timeoutMs);
    const head = headOf(url);
    const body = new Uint8Array();
    const bounds = { timeoutMs, maxResponseBytes: JWKS_BYTES };
    const answer = await call({ target, protocol: "http1", head, body, ...bounds });
    if ("failed" in answer) throw fetchFailure(uri, answer.failed);
    const refused = refusedStatus(answer.head.status);
    if (refused !== undefined) throw fetchFailure(uri, refused);
    return Buffer.from(answer.body).toString("utf8");
  };
}

function headOf({ host, pathname, search }: URL): RequestHead {
  return {
    version: "1.1",
    method: "GET",
    scheme: "http",
    authority: host,
    path: `${pathname}${search}`,
    headers: new HeaderList(["accept", "application/json", "accept-encoding", "identity"]),
  };
}

/**
 * The service that a pod of `namespace` means by a host name, as written in full or as Kubernetes'
 * DNS lets it be shortened to `name.namespace` and `name.namespace.svc`.
 */
export function serviceByHost(
  mesh: Pick<ProxyState, "findServiceByHostname" | "services">,
  { hostname, port }: { readonly hostname: string; readonly port: number },
  namespace: string,
): BackendRef | undefined {
  const accept = (service: Service): boolean =>
    !service.hostname.startsWith("*") && service.ports.some((one) => one.servicePort === port);
  const found =
    mesh.findServiceByHostname(hostname, namespace, accept) ??
    shortened(hostname, mesh.services(), accept);
  return found && { namespace: found.namespace, hostname: found.hostname, port };
}

function shortened(
  hostname: string,
  services: Iterable<Service>,
  accept: (service: Service) => boolean,
): Service | undefined {
  const [name, namespace, svc = "svc", ...more] = hostname.toLowerCase().split(".");
  if (namespace === undefined || svc !== "svc" || more.length > 0) return undefined;
  for (const service of services) {
    const full = service.hostname.toLowerCase();
    if (full.startsWith(`${name}.${namespace}.svc.`) && accept(service)) return service;
  }
  return undefined;
}
