/**
 * Service ports: which of them the mesh carries, what they speak, and where they lead in one pod.
 */
import type { KubeService, KubeServicePort, Pod } from "#common/kubernetes/objects.ts";
import type { AppProtocol, ServicePort } from "#common/model/service.ts";

/** UDP and SCTP pass the mesh by, so only TCP ports are described to it. */
export function tcpPorts(service: KubeService): readonly KubeServicePort[] {
  return (service.spec.ports ?? []).filter(({ protocol }) => (protocol ?? "TCP") === "TCP");
}

/** The port as the Service describes it: a named target is 0, and each endpoint says its own. */
export function declaredPort(port: KubeServicePort): ServicePort {
  const { targetPort = port.port } = port;
  return {
    servicePort: port.port,
    targetPort: typeof targetPort === "number" ? targetPort : 0,
    appProtocol: appProtocol(port),
  };
}

/**
 * The ports under which the pod serves the service; one whose name the pod does not know is left
 * out.
 */
export function portsInPod(service: KubeService, pod: Pod): readonly ServicePort[] {
  return tcpPorts(service).flatMap((port) => {
    const { targetPort = port.port } = port;
    const number = typeof targetPort === "number" ? targetPort : namedPort(pod, targetPort);
    return number === undefined ? [] : [{ ...declaredPort(port), targetPort: number }];
  });
}

/** The number of a TCP port that one of the pod's containers names. */
export function namedPort(pod: Pod, name: string): number | undefined {
  for (const container of pod.spec.containers) {
    for (const port of container.ports ?? []) {
      if (port.name === name && (port.protocol ?? "TCP") === "TCP") return port.containerPort;
    }
  }
  return undefined;
}

// Source: Istio's "Protocol Selection" page; the kubernetes.io names are Kubernetes' own.
const PROTOCOLS: Readonly<Record<string, AppProtocol>> = {
  http: "http11",
  "kubernetes.io/ws": "http11",
  http2: "http2",
  h2c: "http2",
  "kubernetes.io/h2c": "http2",
  grpc: "grpc",
  "grpc-web": "grpc",
  tcp: "tcp",
  mongo: "tcp",
  mysql: "tcp",
  redis: "tcp",
  tls: "tls",
  https: "tls",
  "kubernetes.io/wss": "tls",
};

/** `appProtocol`, else the port's name up to its first dash ("grpc-web" counts as one word). */
export function appProtocol(port: Pick<KubeServicePort, "name" | "appProtocol">): AppProtocol {
  if (port.appProtocol !== undefined) return protocolNamed(port.appProtocol);
  const name = port.name ?? "";
  const word = name.startsWith("grpc-web") ? "grpc-web" : (name.split("-")[0] ?? "");
  return protocolNamed(word);
}

function protocolNamed(word: string): AppProtocol {
  const name = word.toLowerCase();
  return Object.hasOwn(PROTOCOLS, name) ? (PROTOCOLS[name] ?? "unknown") : "unknown";
}
