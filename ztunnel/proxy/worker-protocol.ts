/**
 * The messages between ztunnel's control thread and its data workers. All are structured-cloneable.
 */

import type { StateUpdate } from "#common/mesh-state/proxy-state.ts";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import type { Identity } from "#common/model/identity.ts";
import type { ConnectionSecurity } from "#common/telemetry/connection-record.ts";
import type { RevocationList } from "#common/tls/crl.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import type { Netns } from "#ztunnel/sys/syscalls.ts";
import type { DataPlaneOptions } from "./data-plane.ts";
import type { PodListeners } from "./pod-proxy.ts";

/** `workerData` of a data worker. */
export type WorkerOptions = DataPlaneOptions;

export type ToWorker =
  | { readonly type: "state"; readonly update: StateUpdate }
  | { readonly type: "certificate"; readonly certificate: WorkloadCertificate }
  /** What the control plane said of names that were wanted; the state before it says the rest. */
  | { readonly type: "addresses-answered"; readonly answers: AddressAnswers }
  | { readonly type: "memory"; readonly short: boolean }
  /** All lists in force; the bytes are shared, not copied. */
  | { readonly type: "revocations"; readonly lists: readonly RevocationList[] }
  | {
      readonly type: "add-pod";
      readonly request: number;
      readonly pod: CapturedPod;
      /** Descriptors are the process's: the number is good in every thread. */
      readonly netns: Netns;
      readonly listeners: PodListeners;
    }
  | { readonly type: "remove-pod"; readonly request: number; readonly podUid: string }
  | { readonly type: "drain"; readonly deadlineMs: number }
  | { readonly type: "list-connections"; readonly request: number };

export type FromWorker =
  | { readonly type: "ready" }
  | { readonly type: "done"; readonly request: number; readonly error?: string }
  | { readonly type: "certificate-wanted"; readonly identity: Identity }
  /** XDS_ON_DEMAND: a connection needs to know who has this xDS name or alias. */
  | { readonly type: "address-wanted"; readonly name: string }
  /** A `ConnectionBatch` as JSON: as a copied object it costs twice the time. */
  | { readonly type: "telemetry"; readonly batch: string }
  | {
      readonly type: "connections";
      readonly request: number;
      readonly connections: readonly ConnectionSummary[];
    }
  | { readonly type: "internal-error"; readonly details: string }
  | { readonly type: "drained" };

/** Names of `address-wanted`, by what became of them. */
export interface AddressAnswers {
  readonly found: readonly string[];
  readonly absent: readonly string[];
  /** Followed no more: to be asked for again when they are needed. */
  readonly forgotten: readonly string[];
  /** Not asked for: a bound is reached. */
  readonly refused: readonly string[];
}

/** One established connection, for `/config_dump`. */
export interface ConnectionSummary {
  readonly podUid: string;
  readonly direction: "inbound" | "outbound";
  /** Addresses are `ip:port`, "" where not known. */
  readonly source: string;
  readonly destination: string;
  /** What the client dialled; at the source only. */
  readonly dialled: string;
  readonly hboneAddress: string | undefined;
  /** The hostname of the service that was addressed, where that is known. */
  readonly service: string | undefined;
  readonly security: ConnectionSecurity;
}
