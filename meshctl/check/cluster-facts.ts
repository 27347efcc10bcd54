/** What can be known of a cluster before anything is installed. Pure. */
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { failed, type Outcome, ok, unlessAny, warning } from "./outcome.ts";

/**
 * Older ones do not know `appArmorProfile` of containers, nor `matchConditions` of webhooks; their
 * tokens do not say on which node a ztunnel runs.
 */
const MINOR_MIN = 30;
/** What the tests run on, and two before it. */
const MINOR_TESTED = 34;

/** Of `GET /version`. */
export function serverVersion({ major, minor, gitVersion }: JsonObject): Outcome {
  const number = Number.parseInt(String(minor), 10);
  const text = String(gitVersion);
  if (major !== "1" || Number.isNaN(number)) return warning(`the server says it is ${text}`);
  if (number < MINOR_MIN) return failed(`the server is ${text}; 1.${MINOR_MIN} is the oldest`);
  if (number < MINOR_TESTED) return warning(`${text} is older than what this is tested with`);
  return ok(text);
}

/** inet tables with NAT: nftables in Linux 5.2. */
const KERNEL_MIN = [5, 2] as const;
const ARCHITECTURES = ["amd64", "arm64"];

/** Of Node objects. */
export function nodeFacts(nodes: readonly JsonObject[]): Outcome {
  const details = nodes.flatMap(({ metadata, status }) => {
    const name = isJsonObject(metadata) ? String(metadata.name) : "";
    const info = isJsonObject(status) && isJsonObject(status.nodeInfo) ? status.nodeInfo : {};
    const { kernelVersion = "", architecture = "", operatingSystem = "linux" } = info;
    if (operatingSystem !== "linux") return [];
    const [major = 0, minor = 0] = String(kernelVersion).split(/[.-]/).map(Number);
    const old = major < KERNEL_MIN[0] || (major === KERNEL_MIN[0] && minor < KERNEL_MIN[1]);
    return [
      ...(old
        ? [`${name}: Linux ${String(kernelVersion)}; ${KERNEL_MIN.join(".")} is needed`]
        : []),
      ...(ARCHITECTURES.includes(String(architecture))
        ? []
        : [`${name}: no image for ${String(architecture)}`]),
    ];
  });
  return unlessAny("failed", details, `${nodes.length} nodes`);
}

/** Of `kube-system/cilium-config`, where there is one. */
export function cniFacts(ciliumConfig: JsonObject | undefined): Outcome {
  const data =
    ciliumConfig !== undefined && isJsonObject(ciliumConfig.data) ? ciliumConfig.data : {};
  return unlessAny("failed", [
    ...(data["cni-exclusive"] === "true"
      ? ["Cilium removes every other plugin from its configuration (cni-exclusive)"]
      : []),
    ...(data["bpf-lb-sock"] === "true" && data["bpf-lb-sock-hostns-only"] !== "true"
      ? ["Cilium replaces service addresses inside pods (bpf-lb-sock without hostns-only)"]
      : []),
  ]);
}

/** What the installation's namespace enforces, where it is there already. */
export function podSecurity(namespace: JsonObject | undefined): Outcome {
  const metadata =
    namespace !== undefined && isJsonObject(namespace.metadata) ? namespace.metadata : {};
  const labels = isJsonObject(metadata.labels) ? metadata.labels : {};
  const level = labels["pod-security.kubernetes.io/enforce"];
  if (level === undefined || level === "privileged") return ok();
  return failed(`namespace ${String(metadata.name)} enforces ${String(level)}: no ztunnel starts`);
}

export interface MeshTraces {
  /** Deployments and DaemonSets of all namespaces. */
  readonly programs: readonly JsonObject[];
  readonly injectors: readonly JsonObject[];
  readonly isOurs: (object: JsonObject) => boolean;
}

/** Programs by which other meshes are known: their names are fixed. */
const PROGRAMS: Readonly<Record<string, string>> = {
  istiod: "Istio's control plane",
  ztunnel: "Istio's ztunnel",
  "istio-cni-node": "Istio's CNI agent",
  "linkerd-destination": "Linkerd",
  "linkerd-cni": "Linkerd's CNI plugin",
  "consul-connect-injector": "Consul",
  "kuma-control-plane": "Kuma",
};

export function otherMeshes({ programs, injectors, isOurs }: MeshTraces): Outcome {
  const found = programs
    .filter((program) => !isOurs(program))
    .flatMap(({ metadata }) => {
      const { name, namespace } = isJsonObject(metadata) ? metadata : {};
      const what = Object.hasOwn(PROGRAMS, String(name)) ? PROGRAMS[String(name)] : undefined;
      return what === undefined ? [] : [`${what}: ${String(namespace)}/${String(name)}`];
    });
  const injecting = injectors.flatMap(({ metadata }) => {
    const name = isJsonObject(metadata) ? String(metadata.name) : "";
    return /sidecar-injector|linkerd-proxy-injector/.test(name)
      ? [`sidecars: webhook ${name}`]
      : [];
  });
  return unlessAny("warning", [...found, ...injecting]);
}
