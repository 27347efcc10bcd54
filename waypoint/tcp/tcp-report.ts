/** What a waypoint says of connections whose bytes it carries: metrics and the access log. */
import { serviceKey } from "#common/model/address.ts";
import { formatSocketAddress } from "#common/model/ip.ts";
import { workloadIdentity } from "#common/model/workload.ts";
import type {
  CarriedBytes,
  ConnectionLabels,
  ConnectionRecord,
} from "#common/telemetry/connection-record.ts";
import { endpointLabels } from "#common/telemetry/endpoint-labels.ts";
import type { End } from "#common/transport/end.ts";
import type { ConnectionFailure } from "#common/transport/failure.ts";
import type { Downstream } from "../filter/stage.ts";
import { LABEL_SETS_PER_DESTINATION } from "../limits.ts";
import type { Endpoint } from "../upstream/upstream.ts";

/** One connection; `refused` alone, or `opened` and then `closed`. */
export interface TcpReport {
  opened(endpoint: Endpoint, client: End, upstream: End): void;
  /** `why`: it did not end by itself. */
  closed(why: ConnectionFailure | undefined): void;
  refused(why: ConnectionFailure): void;
}

export interface TcpReporter {
  begin(downstream: Downstream): TcpReport;
}

/** Takes what is to be counted and logged. */
export type RecordConnection = (record: ConnectionRecord, labels: ConnectionLabels) => void;

export class ConnectionReporter implements TcpReporter {
  readonly #record: RecordConnection;
  readonly #open = new Set<OpenReport>();

  constructor(record: RecordConnection) {
    this.#record = record;
  }

  begin(downstream: Downstream): TcpReport {
    return new OpenReport(downstream, this.#record, this.#open);
  }

  /** Bytes of connections that stay open, since the last call. */
  reportProgress(): void {
    for (const report of this.#open) report.progressed();
  }
}

const NO_BYTES: CarriedBytes = { fromClient: 0, fromServer: 0 };

class OpenReport implements TcpReport {
  readonly #downstream: Downstream;
  readonly #record: RecordConnection;
  readonly #siblings: Set<OpenReport>;
  readonly #startedAt = performance.now();
  #endpoint: Endpoint | undefined;
  #ends: { readonly client: End; readonly upstream: End } | undefined;
  #labels: ConnectionLabels;
  #reported = NO_BYTES;

  constructor(downstream: Downstream, record: RecordConnection, siblings: Set<OpenReport>) {
    this.#downstream = downstream;
    this.#record = record;
    this.#siblings = siblings;
    this.#labels = labelsOf(downstream, undefined);
  }

  opened(endpoint: Endpoint, client: End, upstream: End): void {
    this.#endpoint = endpoint;
    this.#ends = { client, upstream };
    this.#labels = labelsOf(this.#downstream, endpoint);
    this.#siblings.add(this);
    this.#record({ event: "opened", labels: 0 }, this.#labels);
  }

  progressed(): void {
    const delta = this.#takeDelta();
    if (delta.fromClient + delta.fromServer === 0) return;
    this.#record({ event: "bytes", labels: 0, delta }, this.#labels);
  }

  closed(why: ConnectionFailure | undefined): void {
    this.#siblings.delete(this);
    this.#finished("closed", why);
  }

  refused(why: ConnectionFailure): void {
    this.#finished("refused", why);
  }

  #finished(event: "closed" | "refused", why: ConnectionFailure | undefined): void {
    const { source, destination } = this.#downstream;
    const endpoint = this.#endpoint;
    this.#record(
      {
        event,
        labels: 0,
        at: Date.now(),
        durationMs: performance.now() - this.#startedAt,
        sourceAddress: formatSocketAddress(source),
        destinationAddress: endpoint === undefined ? "" : formatSocketAddress(endpoint.address),
        hboneAddress: `${destination.host}:${destination.port}`,
        total: this.#bytes(),
        delta: this.#takeDelta(),
        failure: why,
      },
      this.#labels,
    );
  }

  #bytes(): CarriedBytes {
    const ends = this.#ends;
    if (ends === undefined) return NO_BYTES;
    return { fromClient: ends.client.bytesRead, fromServer: ends.upstream.bytesRead };
  }

  #takeDelta(): CarriedBytes {
    const now = this.#bytes();
    const before = this.#reported;
    this.#reported = now;
    return {
      fromClient: now.fromClient - before.fromClient,
      fromServer: now.fromServer - before.fromServer,
    };
  }
}

/** Label sets by what they are made of, so that metrics find their series by the object. */
const interned = new WeakMap<object, Map<string, ConnectionLabels>>();
const NOBODY = {};

function labelsOf(downstream: Downstream, endpoint: Endpoint | undefined): ConnectionLabels {
  const { peer, sourceWorkload, service } = downstream;
  const destination = endpoint?.workload;
  const sets = interned.get(destination ?? NOBODY) ?? new Map<string, ConnectionLabels>();
  interned.set(destination ?? NOBODY, sets);
  const key = [peer.uri, sourceWorkload?.uid ?? "", service ? serviceKey(service) : ""].join("\n");
  const known = sets.get(key);
  if (known !== undefined) return known;
  const inMesh = endpoint?.transport === "hbone" && destination !== undefined;
  const labels: ConnectionLabels = {
    reporter: "waypoint",
    source: endpointLabels(sourceWorkload, peer),
    destination: endpointLabels(destination, inMesh ? workloadIdentity(destination) : undefined),
    service: service && {
      hostname: service.hostname,
      namespace: service.namespace,
      name: service.serviceName,
    },
    security: "mutual_tls",
  };
  if (sets.size >= LABEL_SETS_PER_DESTINATION) sets.clear();
  sets.set(key, labels);
  return labels;
}
