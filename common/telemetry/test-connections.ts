/**
 * Records and labels for the telemetry tests: frontend calls the shop's service db over mutual TLS.
 */
import type { ConnectionLabels, ConnectionRecord, EndpointLabels } from "./connection-record.ts";

export type Finished = Extract<ConnectionRecord, { event: "closed" | "refused" }>;

export function endpoint(name: string, fields: Partial<EndpointLabels> = {}): EndpointLabels {
  return {
    name: `${name}-7d4f`,
    workload: name,
    namespace: "shop",
    principal: `spiffe://cluster.local/ns/shop/sa/${name}`,
    canonicalService: name,
    canonicalRevision: "v1",
    cluster: "Kubernetes",
    region: "eu",
    zone: "",
    ...fields,
  };
}

export function connectionLabels(fields: Partial<ConnectionLabels> = {}): ConnectionLabels {
  return {
    reporter: "source",
    source: endpoint("frontend"),
    destination: endpoint("db"),
    service: { hostname: "db.shop.svc.cluster.local", namespace: "shop", name: "db" },
    security: "mutual_tls",
    ...fields,
  };
}

export function finished(fields: Partial<Finished> = {}): Finished {
  return {
    event: "closed",
    labels: 1,
    at: 0,
    durationMs: 12.9,
    sourceAddress: "10.0.0.1:4711",
    destinationAddress: "10.0.1.2:15008",
    hboneAddress: "10.0.1.2:5432",
    total: { fromClient: 100, fromServer: 2000 },
    delta: { fromClient: 100, fromServer: 2000 },
    failure: undefined,
    ...fields,
  };
}
