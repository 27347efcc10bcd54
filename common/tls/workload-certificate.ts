/** A workload's certificate with its key: a plain value, structured-cloneable to data workers. */
import type { Identity } from "#common/model/identity.ts";

export interface WorkloadCertificate {
  readonly identity: Identity;
  /** The leaf, then the intermediates up to but without the root. */
  readonly certChainPem: string;
  /** PKCS#8, unencrypted. */
  readonly privateKeyPem: string;
  /** The roots that peers are verified against; several while a root is being replaced. */
  readonly rootsPem: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  /** Hexadecimal, lower case. */
  readonly serial: string;
}
