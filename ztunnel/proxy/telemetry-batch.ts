/**
 * Turns what the tracker reports into records for the control thread, sent in batches: nothing is
 * formatted and no label is hashed on the data worker's event loop.
 */
import { formatSocketAddress } from "#common/model/ip.ts";
import type { Workload } from "#common/model/workload.ts";
import type {
  ConnectionBatch,
  ConnectionLabels,
  ConnectionRecord,
  LimitName,
  RecordFailure,
} from "#common/telemetry/connection-record.ts";
import { endpointLabels } from "#common/telemetry/endpoint-labels.ts";
import { LabelInterner } from "#common/telemetry/label-table.ts";
import type { ConnectionFailure } from "#common/transport/failure.ts";
import { RECORD_BATCH, RECORD_DELAY_MS } from "../limits.ts";
import type { ByteCounts, ConnectionMeta, ConnectionReporter } from "./connection-tracker.ts";

const NO_BYTES: ByteCounts = { fromClient: 0, fromServer: 0 };

export class TelemetryBatcher implements ConnectionReporter {
  readonly #send: (batch: ConnectionBatch) => void;
  readonly #onInternalError: (error: unknown) => void;
  readonly #labels = new LabelInterner();
  /** Where among the records that wait a connection's `opened` is. */
  readonly #opened = new Map<ConnectionMeta, number>();
  /** Undefined where the record was taken into a later one. */
  #records: (ConnectionRecord | undefined)[] = [];
  #acceptFailures = 0;
  #hostLookUps = 0;
  #limitsReached: Partial<Record<LimitName, number>> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(send: (batch: ConnectionBatch) => void, onInternalError: (error: unknown) => void) {
    this.#send = send;
    this.#onInternalError = onInternalError;
  }

  opened(meta: ConnectionMeta): void {
    const report = meta.permit?.report;
    this.#opened.set(meta, this.#records.length);
    this.#add({ event: "opened", labels: this.#intern(meta), ...(report && { report }) });
  }

  progressed(meta: ConnectionMeta, delta: ByteCounts): void {
    this.#add({ event: "bytes", labels: this.#intern(meta), delta });
  }

  closed(
    meta: ConnectionMeta,
    total: ByteCounts,
    delta: ByteCounts,
    durationMs: number,
    why: ConnectionFailure | undefined,
  ): void {
    this.#finish("closed", meta, total, delta, durationMs, why);
  }

  refused(meta: ConnectionMeta, durationMs: number, why: ConnectionFailure): void {
    this.#finish("refused", meta, NO_BYTES, NO_BYTES, durationMs, why);
  }

  acceptFailed(): void {
    this.#acceptFailures++;
    this.#schedule();
  }

  hostLookedUp(): void {
    this.#hostLookUps++;
    this.#schedule();
  }

  limitReached(limit: LimitName): void {
    this.#limitsReached ??= {};
    this.#limitsReached[limit] = (this.#limitsReached[limit] ?? 0) + 1;
    this.#schedule();
  }

  internalError(error: unknown): void {
    this.#onInternalError(error);
  }

  /** Sends what waits. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const records = this.#records.filter((record) => record !== undefined);
    const acceptFailures = this.#acceptFailures;
    const hostLookUps = this.#hostLookUps;
    const limitsReached = this.#limitsReached;
    const counted = acceptFailures + hostLookUps > 0 || limitsReached !== undefined;
    if (records.length === 0 && !counted) return;
    this.#records = [];
    this.#opened.clear();
    this.#acceptFailures = 0;
    this.#hostLookUps = 0;
    this.#limitsReached = undefined;
    this.#send({
      ...this.#labels.takeFresh(),
      records,
      acceptFailures,
      hostLookUps,
      ...(limitsReached && { limitsReached }),
    });
  }

  #finish(
    event: "closed" | "refused",
    meta: ConnectionMeta,
    total: ByteCounts,
    delta: ByteCounts,
    durationMs: number,
    why: ConnectionFailure | undefined,
  ): void {
    const report = meta.permit?.report ?? why?.report;
    const place = this.#opened.get(meta) ?? -1;
    const begun = this.#records[place];
    if (begun !== undefined) this.#records[place] = undefined;
    this.#add({
      event,
      ...(begun && { opened: true }),
      labels: begun?.labels ?? this.#intern(meta),
      at: Date.now(),
      durationMs,
      sourceAddress: meta.sourceAddress ? formatSocketAddress(meta.sourceAddress) : "",
      destinationAddress: meta.destinationAddress
        ? formatSocketAddress(meta.destinationAddress)
        : "",
      hboneAddress: meta.hboneAddress ?? "",
      total,
      delta,
      failure: why && recordFailure(why),
      ...(report && { report }),
    });
  }

  #intern(meta: ConnectionMeta): number {
    return this.#labels.intern(labelKey(meta), () => connectionLabels(meta));
  }

  #add(record: ConnectionRecord): void {
    if (this.#records.push(record) >= RECORD_BATCH) this.flush();
    else this.#schedule();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.flush(), RECORD_DELAY_MS);
  }
}

function recordFailure({ reason, message, policy, limit }: ConnectionFailure): RecordFailure {
  return {
    reason,
    message,
    ...(policy !== undefined && { policy }),
    ...(limit !== undefined && { limit }),
  };
}

/**
 * Equal keys have equal labels: a record of a workload that changed is another object with another
 * key.
 */
function labelKey(meta: ConnectionMeta): string {
  const { source, destination, service } = meta;
  return [
    meta.reporter,
    meta.security,
    workloadKey(source),
    meta.sourceIdentity?.uri,
    workloadKey(destination),
    meta.destinationIdentity?.uri,
    service && `${service.namespace}/${service.hostname}`,
  ].join("|");
}

const workloadKeys = new WeakMap<Workload, string>();

function workloadKey(workload: Workload | undefined): string {
  if (workload === undefined) return "";
  let key = workloadKeys.get(workload);
  if (key === undefined) {
    const { uid, workloadName, canonicalName, canonicalRevision } = workload;
    key = `${uid},${workloadName},${canonicalName},${canonicalRevision}`;
    workloadKeys.set(workload, key);
  }
  return key;
}

function connectionLabels(meta: ConnectionMeta): ConnectionLabels {
  const { service } = meta;
  return {
    reporter: meta.reporter,
    source: endpointLabels(meta.source, meta.sourceIdentity),
    destination: endpointLabels(meta.destination, meta.destinationIdentity),
    service: service && {
      hostname: service.hostname,
      namespace: service.namespace,
      name: service.name,
    },
    security: meta.security,
  };
}
