/** How metrics and logs name one side of a connection. */
import type { Identity } from "#common/model/identity.ts";
import type { Workload } from "#common/model/workload.ts";
import type { EndpointLabels } from "./connection-record.ts";

/** `identity` as it was proved; undefined for plaintext. */
export function endpointLabels(
  workload: Workload | undefined,
  identity: Identity | undefined,
): EndpointLabels {
  return {
    name: workload?.name ?? "",
    workload: workload?.workloadName ?? "",
    namespace: workload?.namespace ?? identity?.namespace ?? "",
    principal: identity?.uri ?? "",
    canonicalService: workload?.canonicalName ?? "",
    canonicalRevision: workload?.canonicalRevision ?? "",
    cluster: workload?.clusterId ?? "",
    region: workload?.locality.region ?? "",
    zone: workload?.locality.zone ?? "",
  };
}
