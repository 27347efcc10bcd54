/** One request, or one TCP connection, as the policies of a waypoint see it. */
import type { Identity } from "#common/model/identity.ts";
import type { IpAddress } from "#common/model/ip.ts";

export interface RequestFacts {
  readonly peer: Identity;
  readonly sourceIp: IpAddress;
  /** Of what was asked for; of a host name all that it has, perhaps none that is known. */
  readonly destinationIps: readonly IpAddress[];
  readonly destinationPort: number;
  readonly sni: string | undefined;
  /** Absent for a TCP connection. */
  readonly http: HttpFacts | undefined;
}

/** After normalisation. Texts hold one character for each byte, as Node delivers them. */
export interface HttpFacts {
  readonly method: string;
  readonly authority: string;
  /** With its query. */
  readonly path: string;
  /** By names in lower case. */
  readonly headers: { getAll(name: string): readonly string[] };
  /** Verified ones only. */
  readonly tokens: readonly { readonly claims: Readonly<Record<string, unknown>> }[];
}
