/**
 * `outboundTrafficPolicy: REGISTRY_ONLY` for captured pods (istio#54281): every address that is
 * nobody's belongs to a service without endpoints then. Exact addresses and longer prefixes come
 * before it, so that all that any object describes is reached as before.
 */
import type { ServiceAddress } from "#common/model/address.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { BLACK_HOLE, type Service } from "#common/model/service.ts";
import type { Publications } from "./publications.ts";
import type { RegistryOptions } from "./registry-options.ts";
import type { PolicyContributor } from "./waypoints/contributions.ts";

const EVERYWHERE: readonly ServiceAddress[] = [
  { network: "", ip: "0.0.0.0" as IpAddress, cidr: { bytes: new Uint8Array(4), length: 0 } },
  { network: "", ip: "::" as IpAddress, cidr: { bytes: new Uint8Array(16), length: 0 } },
];

export class OutboundTraffic {
  readonly #options: Pick<RegistryOptions, "outboundTraffic" | "rootNamespace">;
  readonly #publications: Pick<Publications, "replace">;
  readonly #mesh: Pick<PolicyContributor, "meshSettings"> | undefined;
  /** The last that could be read. */
  #wanted: RegistryOptions["outboundTraffic"];
  /** Whether the black hole is published. */
  #closed = false;

  constructor(
    options: Pick<RegistryOptions, "outboundTraffic" | "rootNamespace">,
    publications: Pick<Publications, "replace">,
    mesh: Pick<PolicyContributor, "meshSettings"> | undefined,
  ) {
    this.#options = options;
    this.#publications = publications;
    this.#mesh = mesh;
    this.#wanted = options.outboundTraffic;
  }

  /**
   * Publishes what the mesh configuration of now asks for. One that cannot be read changes nothing:
   * a slip of the pen opens no mesh, and closes none.
   */
  follow(): void {
    const { outboundTraffic, rootNamespace } = this.#options;
    const said = this.#mesh?.meshSettings.outboundTraffic;
    if (said !== "unreadable") this.#wanted = said ?? outboundTraffic;
    const closed = this.#wanted === "registry-only";
    if (closed === this.#closed) return;
    this.#closed = closed;
    const services = closed ? [blackHole(rootNamespace)] : [];
    this.#publications.replace("MeshConfig/outboundTrafficPolicy", services, []);
  }
}

function blackHole(namespace: string): Service {
  return {
    name: BLACK_HOLE,
    namespace,
    hostname: BLACK_HOLE,
    addresses: EVERYWHERE,
    ports: [],
    subjectAltNames: [],
    weightedWaypoints: [],
    ipFamilies: "automatic",
    canonical: false,
    ingressUseWaypoint: false,
    visibility: "public",
  };
}
