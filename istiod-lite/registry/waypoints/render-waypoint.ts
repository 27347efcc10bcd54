/**
 * The objects that run a waypoint: a ServiceAccount, a Deployment and a Service, named and labelled
 * as Istio's template does (manifests/charts/istio-control/istio-discovery/files/waypoint.yaml), so
 * that what selects, watches or patches Istio's waypoints finds these.
 */
import type {
  Container,
  Deployment,
  EnvVar,
  Gateway,
  KubeService,
  ObjectMeta,
  PodSpec,
  ServiceAccount,
} from "#common/kubernetes/objects.ts";
import { HBONE_PORT, METRICS_PORT, READINESS_PORT } from "#common/model/ports.ts";
import { NATIVE_TUNNEL_LABEL } from "../pod-workload.ts";
import {
  GATEWAY_CLASS_LABEL,
  MANAGED_BY_US,
  MANAGED_LABEL,
  NAME_OVERRIDE,
  SERVICE_ACCOUNT_OVERRIDE,
  SERVICE_TYPE,
} from "./names.ts";
import { GATEWAY_NAME_LABEL } from "./scope.ts";
import { deploymentName, serviceAccountName } from "./waypoint-facts.ts";

export interface RenderOptions {
  readonly clusterId: string;
  readonly trustDomain: string;
  readonly trustDomainAliases?: readonly string[];
  readonly revision: string;
}

type Labels = Readonly<Record<string, string>>;

/** Annotations that are about the Gateway itself. */
const OWN_ANNOTATIONS: ReadonlySet<string> = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  "gateway.istio.io/controller-version",
  NAME_OVERRIDE,
  SERVICE_ACCOUNT_OVERRIDE,
]);

const IMAGE = "istio/proxyv2";
const TRUST_BUNDLE = "istio-ca-root-cert";
/** Source: the template's expirationSeconds of 12 h. */
const TOKEN_SECONDS = 43_200;
/** Source: Kubernetes' default; Istio's waypoints use it to drain. */
const GRACE_SECONDS = 30;

export interface RenderedWaypoint {
  readonly serviceAccount: ServiceAccount;
  readonly deployment: Deployment;
  readonly service: KubeService;
}

export function renderWaypoint(gateway: Gateway, options: RenderOptions): RenderedWaypoint {
  const meta = (name: string, labels: Labels, annotations: Labels): ObjectMeta => ({
    name,
    namespace: gateway.metadata.namespace ?? "default",
    labels: { ...infrastructure(gateway).labels, ...gatewayLabels(gateway), ...labels },
    annotations: { ...annotations, ...infrastructure(gateway).annotations },
    ownerReferences: [
      { apiVersion: gateway.apiVersion, kind: "Gateway", name: gateway.metadata.name },
    ],
  });
  const name = deploymentName(gateway);
  const managed = { [MANAGED_LABEL]: MANAGED_BY_US };
  return {
    serviceAccount: {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: meta(serviceAccountName(gateway), {}, {}),
    },
    deployment: {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: meta(name, managed, {}),
      spec: {
        selector: { matchLabels: { [GATEWAY_NAME_LABEL]: gateway.metadata.name } },
        template: { metadata: podMetadata(gateway, options), spec: podSpec(gateway, options) },
      },
    },
    service: {
      apiVersion: "v1",
      kind: "Service",
      metadata: meta(name, managed, {
        "networking.istio.io/traffic-distribution": "PreferClose",
      }),
      spec: serviceSpec(gateway),
    },
  };
}

function podMetadata(gateway: Gateway, { revision }: RenderOptions) {
  const { labels, annotations } = infrastructure(gateway);
  return {
    labels: {
      "sidecar.istio.io/inject": "false",
      "istio.io/dataplane-mode": "none",
      "service.istio.io/canonical-name": deploymentName(gateway),
      "service.istio.io/canonical-revision": "latest",
      [NATIVE_TUNNEL_LABEL]: "http",
      ...labels,
      ...gatewayLabels(gateway),
      [MANAGED_LABEL]: MANAGED_BY_US,
    },
    annotations: {
      ...annotations,
      "istio.io/rev": revision,
      "prometheus.io/path": "/stats/prometheus",
      "prometheus.io/port": String(METRICS_PORT),
      "prometheus.io/scrape": "true",
    },
  };
}

function podSpec(gateway: Gateway, options: RenderOptions): PodSpec {
  return {
    serviceAccountName: serviceAccountName(gateway),
    terminationGracePeriodSeconds: GRACE_SECONDS,
    containers: [container(gateway, options)],
    volumes: [
      {
        name: "istio-token",
        projected: {
          sources: [
            {
              serviceAccountToken: {
                audience: "istio-ca",
                expirationSeconds: TOKEN_SECONDS,
                path: "istio-token",
              },
            },
          ],
        },
      },
      { name: "istiod-ca-cert", configMap: { name: TRUST_BUNDLE } },
    ],
  };
}

function container(gateway: Gateway, options: RenderOptions): Container {
  const httpGet = { path: "/healthz/ready", port: READINESS_PORT };
  return {
    name: "istio-proxy",
    image: IMAGE,
    args: ["proxy", "waypoint"],
    env: environment(gateway, options),
    ports: [
      { name: "hbone", containerPort: HBONE_PORT, protocol: "TCP" },
      { name: "metrics", containerPort: METRICS_PORT, protocol: "TCP" },
      { name: "status-port", containerPort: READINESS_PORT, protocol: "TCP" },
    ],
    startupProbe: { httpGet, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 30 },
    // Sooner than the template's 15 s: traffic waits for a waypoint that has just come.
    readinessProbe: { httpGet, periodSeconds: 2, timeoutSeconds: 1, failureThreshold: 4 },
    volumeMounts: [
      { name: "istio-token", mountPath: "/var/run/secrets/tokens", readOnly: true },
      { name: "istiod-ca-cert", mountPath: "/var/run/secrets/istio", readOnly: true },
    ],
  };
}

function environment(gateway: Gateway, options: RenderOptions): readonly EnvVar[] {
  const { clusterId, trustDomain, trustDomainAliases = [] } = options;
  const field = (name: string, fieldPath: string): EnvVar => ({
    name,
    valueFrom: { fieldRef: { fieldPath } },
  });
  const { namespace = "default", name } = gateway.metadata;
  const deployment = deploymentName(gateway);
  return [
    field("POD_NAME", "metadata.name"),
    field("POD_NAMESPACE", "metadata.namespace"),
    field("INSTANCE_IP", "status.podIP"),
    field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
    field("NODE_NAME", "spec.nodeName"),
    field("HOST_IP", "status.hostIP"),
    { name: "GATEWAY_NAME", value: name },
    { name: "TRUST_DOMAIN", value: trustDomain },
    ...(trustDomainAliases.length === 0
      ? []
      : [{ name: "TRUST_DOMAIN_ALIASES", value: trustDomainAliases.join(",") }]),
    { name: "TERMINATION_GRACE_PERIOD_SECONDS", value: String(GRACE_SECONDS) },
    { name: "ISTIO_META_CLUSTER_ID", value: clusterId },
    { name: "ISTIO_META_WORKLOAD_NAME", value: deployment },
    {
      name: "ISTIO_META_OWNER",
      value: `kubernetes://apis/apps/v1/namespaces/${namespace}/deployments/${deployment}`,
    },
  ];
}

function serviceSpec(gateway: Gateway): KubeService["spec"] {
  const type = gateway.metadata.annotations?.[SERVICE_TYPE];
  return {
    type: type === "NodePort" || type === "LoadBalancer" ? type : "ClusterIP",
    ipFamilyPolicy: "PreferDualStack",
    selector: { [GATEWAY_NAME_LABEL]: gateway.metadata.name },
    ports: [
      {
        name: "status-port",
        port: READINESS_PORT,
        targetPort: READINESS_PORT,
        protocol: "TCP",
        appProtocol: "tcp",
      },
      {
        name: "mesh",
        port: HBONE_PORT,
        targetPort: HBONE_PORT,
        protocol: "TCP",
        appProtocol: "all",
      },
    ],
  };
}

function gatewayLabels({ metadata, spec }: Gateway): Labels {
  return { [GATEWAY_NAME_LABEL]: metadata.name, [GATEWAY_CLASS_LABEL]: spec.gatewayClassName };
}

/**
 * What everything that runs the Gateway carries: what `infrastructure` says, and only where it says
 * nothing the Gateway's own. Source: Istio's deploymentcontroller.
 */
function infrastructure({ metadata, spec }: Gateway): { labels: Labels; annotations: Labels } {
  const { labels, annotations } = spec.infrastructure ?? {};
  const given: ObjectMeta = (labels ?? annotations) === undefined ? metadata : { name: "" };
  const kept = Object.entries(annotations ?? given.annotations ?? {});
  return {
    labels: labels ?? given.labels ?? {},
    annotations: Object.fromEntries(kept.filter(([key]) => !OWN_ANNOTATIONS.has(key))),
  };
}
