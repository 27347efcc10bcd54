/** A request, or a TCP connection, as authorization sees it. */
import type { HttpFacts, RequestFacts } from "#common/authorization/http/facts.ts";
import type { Identity } from "#common/model/identity.ts";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import type { Downstream, RequestContext } from "../stage.ts";

export class DownstreamFacts implements RequestFacts {
  readonly #downstream: Downstream;
  readonly http: HttpFacts | undefined;

  constructor(downstream: Downstream, http: HttpFacts | undefined) {
    this.#downstream = downstream;
    this.http = http;
  }

  get peer(): Identity {
    return this.#downstream.peer;
  }

  get sourceIp(): IpAddress {
    return this.#downstream.source.ip;
  }

  get destinationPort(): number {
    return this.#downstream.destination.port;
  }

  get sni(): string | undefined {
    return this.#downstream.sni;
  }

  /** Asked for by name: those of the service. */
  get destinationIps(): readonly IpAddress[] {
    const { destination, service } = this.#downstream;
    const ip = parseIp(destination.host);
    if (ip !== undefined) return [ip];
    return (service?.addresses ?? []).flatMap((address) => parseIp(address) ?? []);
  }
}

export function factsOf({ downstream, head, tokens }: RequestContext): RequestFacts {
  const { method, authority, path, headers } = head;
  return new DownstreamFacts(downstream, { method, authority, path, headers, tokens });
}
