/** What every cluster has before anybody adds anything. */
import type {
  ConfigMap,
  EndpointSlice,
  GatewayClass,
  KubernetesObject,
  KubeService,
  KubeServicePort,
  Namespace,
  ServiceAccount,
} from "#common/kubernetes/objects.ts";
import { ISTIOD_DEBUG_PORT, ISTIOD_XDS_PORT } from "#common/model/ports.ts";
import { addressAt, DNS_SERVICE_INDEX, SERVICE_IPV4 } from "#meshctl/local/network/addresses.ts";
import { FABRIC_IPS } from "#meshctl/local/network/network-plan.ts";
import { SERVICE_NAME_LABEL } from "#meshctl/local/services/endpoints.ts";

export const ISTIO_NAMESPACE = "istio-system";
const WAYPOINT_CLASS = "istio-waypoint";
const BUILT_IN_NAMESPACES = ["default", "kube-system", ISTIO_NAMESPACE];

/** The address in every pod's resolv.conf. */
export const DNS_SERVICE_IP = addressAt(SERVICE_IPV4, DNS_SERVICE_INDEX);

/**
 * The given objects and those that an API server's own controllers add: namespaces (also those that
 * objects name but nobody declares), a `default` service account in each, and the cluster's
 * services. Where the mesh has a `rootCert` (PEM), every namespace has it in a ConfigMap, as
 * istiod's controller writes it.
 */
export function withBuiltIns(
  objects: readonly KubernetesObject[],
  mesh: boolean,
  rootCert?: string,
): readonly KubernetesObject[] {
  const names = new Set(BUILT_IN_NAMESPACES);
  const declared = new Set<string>();
  const accounts = new Set<string>();
  const classes = new Set<string>();
  for (const { kind, metadata } of objects) {
    if (kind === "Namespace") declared.add(metadata.name);
    if (kind === "GatewayClass") classes.add(metadata.name);
    if (kind === "ServiceAccount") accounts.add(`${metadata.namespace}/${metadata.name}`);
    if (metadata.namespace !== undefined) names.add(metadata.namespace);
  }
  for (const name of declared) names.add(name);
  const namespaces = [...names].filter((name) => !declared.has(name)).map(namespace);
  const defaults = [...names]
    .filter((name) => !accounts.has(`${name}/default`))
    .map(defaultAccount);
  return [
    ...objects,
    ...namespaces,
    ...defaults,
    ...dnsObjects(),
    ...(mesh ? istiodObjects() : []),
    ...(mesh && !classes.has(WAYPOINT_CLASS) ? [waypointClass()] : []),
    ...(rootCert === undefined ? [] : [...names].map((name) => trustBundle(name, rootCert))),
  ];
}

function namespace(name: string): Namespace {
  const labels = { "kubernetes.io/metadata.name": name };
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
}

function defaultAccount(namespaceName: string): ServiceAccount {
  const metadata = { name: "default", namespace: namespaceName };
  return { apiVersion: "v1", kind: "ServiceAccount", metadata };
}

/** Source: Istio's root certificate controller, and its waypoint template. */
function trustBundle(namespaceName: string, rootCert: string): ConfigMap {
  const metadata = { name: "istio-ca-root-cert", namespace: namespaceName };
  return { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "root-cert.pem": rootCert } };
}

/** Source: istiod makes the classes that it serves. */
function waypointClass(): GatewayClass {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "GatewayClass",
    metadata: { name: WAYPOINT_CLASS },
    spec: { controllerName: "istio.io/mesh-controller" },
  };
}

function dnsObjects(): readonly KubernetesObject[] {
  const ports = [
    { name: "dns", port: 53, protocol: "UDP" },
    { name: "dns-tcp", port: 53, protocol: "TCP" },
  ] as const;
  return fabricService("kube-system", "kube-dns", ports, DNS_SERVICE_IP);
}

function istiodObjects(): readonly KubernetesObject[] {
  const ports = [
    { name: "https-dns", port: ISTIOD_XDS_PORT, protocol: "TCP" },
    { name: "http-monitoring", port: ISTIOD_DEBUG_PORT, protocol: "TCP" },
  ] as const;
  return fabricService(ISTIO_NAMESPACE, "istiod", ports, undefined);
}

/** A service of a process on the fabric: no pod is behind it, so it has no selector. */
function fabricService(
  namespaceName: string,
  name: string,
  ports: readonly KubeServicePort[],
  clusterIP: string | undefined,
): readonly [KubeService, EndpointSlice] {
  const [ip = ""] = FABRIC_IPS;
  const service: KubeService = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: namespaceName },
    spec: { ports, ...(clusterIP === undefined ? {} : { clusterIP }) },
  };
  const slice: EndpointSlice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, namespace: namespaceName, labels: { [SERVICE_NAME_LABEL]: name } },
    addressType: "IPv4",
    endpoints: [{ addresses: [ip], conditions: { ready: true } }],
    ports: ports.map((port) => ({ ...port })),
  };
  return [service, slice];
}
