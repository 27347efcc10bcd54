/**
 * What a data worker says about connections, in batches. Label sets are interned: they are sent
 * once under a number, and records refer to the number, so that a short connection costs a short
 * record.
 */
import type { PolicyAction } from "#common/model/authorization.ts";
import type { Reason } from "#common/model/reason.ts";

export type Reporter = "source" | "destination" | "waypoint";

/** One side of a connection as metrics and logs name it; "" where it is not known. */
export interface EndpointLabels {
  /** The pod's (workload record's) own name: the access log's `workload`. */
  readonly name: string;
  /** The Deployment's, Job's, … name: the metrics' `workload`. */
  readonly workload: string;
  readonly namespace: string;
  /** spiffe://… as verified; "" for plaintext. */
  readonly principal: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
  readonly cluster: string;
  readonly region: string;
  readonly zone: string;
}

export interface ServiceLabels {
  readonly hostname: string;
  readonly namespace: string;
  readonly name: string;
}

/**
 * How the bytes travelled between the two pods: the metrics' `connection_security_policy`.
 * `mutual_tls` and `unknown` are Istio's values. `same_node` is ours: both ends are pods of one
 * ztunnel, which knows both identities and hands the bytes over inside its own process.
 */
export type ConnectionSecurity = "mutual_tls" | "same_node" | "unknown";

export interface ConnectionLabels {
  readonly reporter: Reporter;
  readonly source: EndpointLabels;
  readonly destination: EndpointLabels;
  readonly service: ServiceLabels | undefined;
  readonly security: ConnectionSecurity;
}

/** Bytes of the application: what the client sent, and what the server sent. */
export interface CarriedBytes {
  readonly fromClient: number;
  readonly fromServer: number;
}

/** The bounds whose reaching is counted: the `limit` label of ambient_limit_reached_total. */
export type LimitName =
  | "connections-per-worker"
  | "connections-per-pod"
  | "pending-handshakes"
  | "tunnel-waiters"
  | "look-ups"
  | "descriptors"
  | "stalled-bytes"
  | "memory"
  | "log-queue";

/** Why a connection did not end well. */
export interface RecordFailure {
  readonly reason: Reason;
  readonly message: string;
  /** `<namespace>/<name>` of the policy that decided. */
  readonly policy?: string;
  /** The bound that was reached, where that is why. */
  readonly limit?: LimitName;
}

/** What policies said of a connection that do not decide: dry runs and AUDIT. */
export interface PolicyReport {
  /** Absent where no dry-run policy applies. */
  readonly dryRun?: {
    /** Whether the connection would be allowed if the dry-run policies were enforced too. */
    readonly allowed: boolean;
    readonly matched: readonly { readonly policy: string; readonly action: PolicyAction }[];
  };
  /** `<namespace>/<name>` of the AUDIT policies that match. */
  readonly audited: readonly string[];
}

/** `labels` is the number of an interned `ConnectionLabels`. */
export type ConnectionRecord =
  | { readonly event: "opened"; readonly labels: number; readonly report?: PolicyReport }
  /** Bytes since the last record of this connection. */
  | { readonly event: "bytes"; readonly labels: number; readonly delta: CarriedBytes }
  | {
      /** `closed` follows `opened`; `refused` stands alone. */
      readonly event: "closed" | "refused";
      /** Stands for the `opened` of this connection too, which was not sent. @default false */
      readonly opened?: boolean;
      readonly labels: number;
      /** Milliseconds since the epoch. */
      readonly at: number;
      readonly durationMs: number;
      /** `ip:port`, "" where not known. */
      readonly sourceAddress: string;
      readonly destinationAddress: string;
      /** What CONNECT asked for. */
      readonly hboneAddress: string;
      readonly total: CarriedBytes;
      readonly delta: CarriedBytes;
      readonly failure: RecordFailure | undefined;
      /** At the destination, where policies apply that do not decide. */
      readonly report?: PolicyReport;
    };

export interface ConnectionBatch {
  /** Label sets that records of this batch, or of later ones, refer to. */
  readonly labels: readonly (readonly [number, ConnectionLabels])[];
  /** Numbers below this one are not used any more, after this batch. */
  readonly forgetLabelsBelow: number;
  readonly records: readonly ConnectionRecord[];
  /** Connections dropped at accept: no descriptor left, or a bound reached. */
  readonly acceptFailures: number;
  /** Bounds that were reached by what has no record. @default none */
  readonly limitsReached?: Partial<Record<LimitName, number>>;
  /** Host names of endpoints that were looked up. @default 0 */
  readonly hostLookUps?: number;
}
