/** One connection as authorization sees it. */
import type { Identity } from "./identity.ts";
import type { IpAddress } from "./ip.ts";

export interface Connection {
  readonly sourceIp: IpAddress;
  /** The peer's verified identity; absent for plaintext. */
  readonly sourceIdentity?: Identity;
  readonly destinationIp: IpAddress;
  /** The application's real port, never 15008. */
  readonly destinationPort: number;
  readonly destinationNetwork: string;
}
