/** The values of a connection in the forms that matching compares, each worked out at most once. */
import type { Connection } from "#common/model/connection.ts";
import { ipToBytes } from "#common/model/ip.ts";

const SPIFFE_SCHEME = "spiffe://";

export class ConnectionView {
  readonly connection: Connection;
  /** The peer's identity without `spiffe://`; undefined for plaintext. */
  readonly principal: string | undefined;
  /** The peer's namespace, "" for plaintext (ambient.md 2.4). */
  readonly namespace: string;
  /** `<namespace>/<service account>` in any trust domain; undefined for plaintext. */
  readonly serviceAccount: string | undefined;
  #sourceBytes: Uint8Array | undefined;
  #destinationBytes: Uint8Array | undefined;

  constructor(connection: Connection) {
    const identity = connection.sourceIdentity;
    this.connection = connection;
    this.principal = identity && withoutScheme(identity.uri);
    this.namespace = identity?.namespace ?? "";
    this.serviceAccount = identity && `${identity.namespace}/${identity.serviceAccount}`;
  }

  get port(): number {
    return this.connection.destinationPort;
  }

  get sourceBytes(): Uint8Array {
    this.#sourceBytes ??= ipToBytes(this.connection.sourceIp);
    return this.#sourceBytes;
  }

  get destinationBytes(): Uint8Array {
    this.#destinationBytes ??= ipToBytes(this.connection.destinationIp);
    return this.#destinationBytes;
  }
}

/** A SPIFFE URI as policies write principals: without its scheme. */
export function withoutScheme(principal: string): string {
  return principal.startsWith(SPIFFE_SCHEME) ? principal.slice(SPIFFE_SCHEME.length) : principal;
}
