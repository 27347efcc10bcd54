/**
 * `/config_dump`: all that this waypoint knows, written piece by piece so that a large mesh does
 * not stop the traffic. Certificates are shown in the shape of Istio's ztunnel; routes are shown as
 * they came, each rule with the object that it is from.
 */
import { type CertificateState, dumpCertificate } from "#common/admin/certificate-dump.ts";
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { serviceKey } from "#common/model/address.ts";
import type { Workload } from "#common/model/workload.ts";
import type { WaypointState } from "../state/waypoint-state.ts";

export interface ConfigDumpSources {
  readonly state: WaypointState;
  readonly mesh: ProxyState;
  readonly certificates: readonly CertificateState[];
  readonly version: object;
  readonly config: object;
}

export async function* writeConfigDump(sources: ConfigDumpSources): AsyncGenerator<string> {
  const { state, mesh, certificates, version, config } = sources;
  yield `{\n${field("version", version)},\n"config": ${JSON.stringify(config, hideHeaders, 2)},\n`;
  yield `${field("gateway", state.gateway ?? null)},\n`;
  yield* list("services", state.services());
  yield ",\n";
  yield* list("backends", state.backends());
  yield ",\n";
  yield* list("endpoints", endpoints(state, mesh));
  yield ",\n";
  yield* list("certificates", certificates.map(dumpCertificate));
  yield "\n}\n";
}

/** Of each service and backend: the workloads behind it. */
function* endpoints(state: WaypointState, mesh: ProxyState): Generator<object> {
  const keys = new Set([...state.services(), ...state.backends()].map(serviceKey));
  for (const key of [...keys].sort()) {
    const service = mesh.findServiceByKey(key);
    const workloads =
      service === undefined ? [] : [...mesh.endpointsOf(service).workloads.values()];
    yield { service: key, workloads: workloads.map((workload) => dumpWorkload(key, workload)) };
  }
}

function dumpWorkload(key: string, workload: Workload): object {
  const { uid, name, namespace, serviceAccount, addresses, hostname } = workload;
  return {
    uid,
    name,
    namespace,
    serviceAccount,
    addresses,
    ...(hostname !== "" && { hostname }),
    protocol: workload.tunnelProtocol === "hbone" ? "HBONE" : "TCP",
    status: workload.status,
    ports: workload.services.get(key) ?? [],
  };
}

function* list(name: string, items: Iterable<object>): Generator<string> {
  yield `${JSON.stringify(name)}: [`;
  let separator = "\n";
  for (const item of items) {
    yield separator + json(item);
    separator = ",\n";
  }
  yield "\n]";
}

function field(name: string, value: unknown): string {
  return `${JSON.stringify(name)}: ${json(value)}`;
}

/** What opens doors is not shown, whoever asks. */
function json(value: unknown): string {
  return JSON.stringify(value, hideKeys, 2);
}

function hideKeys(name: string, value: unknown): unknown {
  return name === "privateKey" ? "(hidden)" : value;
}

/** XDS_HEADER_* and CA_HEADER_* may hold what proves us to the control plane. */
function hideHeaders(name: string, value: unknown): unknown {
  return name === "headers" ? undefined : value;
}
