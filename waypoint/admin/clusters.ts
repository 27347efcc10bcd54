/**
 * `/clusters`: every endpoint of every port that is served, a line each, named as Istio's Envoy
 * names its clusters.
 */
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { serviceKey } from "#common/model/address.ts";
import type { WaypointState } from "../state/waypoint-state.ts";

export async function* writeClusters(
  state: WaypointState,
  mesh: ProxyState,
): AsyncGenerator<string> {
  for (const { namespace, hostname } of state.backends()) {
    const key = serviceKey({ namespace, hostname });
    const service = mesh.findServiceByKey(key);
    if (service === undefined) {
      yield `outbound|||${hostname}::unknown to the mesh\n`;
      continue;
    }
    const { workloads } = mesh.endpointsOf(service);
    for (const { servicePort, targetPort } of service.ports) {
      const cluster = `outbound|${servicePort}||${hostname}`;
      for (const workload of workloads.values()) {
        const own = workload.services.get(key)?.find((port) => port.servicePort === servicePort);
        const host = workload.addresses[0] ?? workload.hostname;
        const endpoint = `${cluster}::${host}:${own?.targetPort || targetPort}`;
        yield `${endpoint}::hostname::${workload.uid}\n`;
        yield `${endpoint}::health_flags::${workload.status}\n`;
        yield `${endpoint}::weight::${workload.capacity}\n`;
        yield `${endpoint}::transport::${workload.tunnelProtocol === "hbone" ? "hbone" : "tcp"}\n`;
      }
    }
  }
}
