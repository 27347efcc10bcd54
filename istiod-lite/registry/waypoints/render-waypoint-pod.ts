/**
 * The pods of a waypoint, as Istio's template for them has it: labels, environment, mounts, probes,
 * and what a real cluster wants of a pod.
 */
import type {
  Container,
  EnvVar,
  Gateway,
  ObjectMeta,
  PodSpec,
} from "#common/kubernetes/objects.ts";
import { HBONE_PORT, METRICS_PORT, READINESS_PORT } from "#common/model/ports.ts";
import { NATIVE_TUNNEL_LABEL } from "../pod-workload.ts";
import {
  GATEWAY_CLASS_LABEL,
  MANAGED_BY_US,
  MANAGED_LABEL,
  NAME_OVERRIDE,
  SERVICE_ACCOUNT_OVERRIDE,
} from "./names.ts";
import { GATEWAY_NAME_LABEL } from "./scope.ts";
import { deploymentName, serviceAccountName } from "./waypoint-facts.ts";

export interface RenderOptions {
  readonly clusterId: string;
  readonly trustDomain: string;
  readonly trustDomainAliases?: readonly string[];
  readonly revision: string;
  /** What a waypoint's container runs. @default Istio's name for it, which meshctl knows */
  readonly waypointImage?: string | undefined;
  /** `host:port` of xDS and CA, where it is not that of Istio's default. */
  readonly discoveryAddress?: string | undefined;
}

type Labels = Readonly<Record<string, string>>;

/** Annotations that are about the Gateway itself. */
const OWN_ANNOTATIONS: ReadonlySet<string> = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  "gateway.istio.io/controller-version",
  NAME_OVERRIDE,
  SERVICE_ACCOUNT_OVERRIDE,
]);

const DEFAULT_IMAGE = "istio/proxyv2";
const TRUST_BUNDLE = "istio-ca-root-cert";
/** Source: the template's expirationSeconds of 12 h. */
const TOKEN_SECONDS = 43_200;
/** Source: Kubernetes' default; Istio's waypoints use it to drain. */
const GRACE_SECONDS = 30;

/** Istio's for its proxies, in uid and gid too, so that the image of either can run. */
const POD_SECURITY = {
  runAsNonRoot: true,
  runAsUser: 1337,
  runAsGroup: 1337,
  seccompProfile: { type: "RuntimeDefault" },
} as const;
/** What the namespaces' Pod Security level "restricted" asks for: a waypoint needs no more. */
const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  privileged: false,
  readOnlyRootFilesystem: true,
} as const;
/** Source: Istio's template for waypoints (values global.waypoint.resources). */
const RESOURCES = {
  requests: { cpu: "100m", memory: "128Mi" },
  limits: { cpu: "2", memory: "1Gi" },
} as const;

export function podMetadata(gateway: Gateway, { revision }: RenderOptions) {
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

export function podSpec(gateway: Gateway, options: RenderOptions): PodSpec {
  return {
    serviceAccountName: serviceAccountName(gateway),
    terminationGracePeriodSeconds: GRACE_SECONDS,
    securityContext: POD_SECURITY,
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "kubernetes.io/hostname",
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: { [GATEWAY_NAME_LABEL]: gateway.metadata.name } },
      },
    ],
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
    image: options.waypointImage ?? DEFAULT_IMAGE,
    args: ["proxy", "waypoint"],
    resources: RESOURCES,
    securityContext: CONTAINER_SECURITY,
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
    ...controlPlane(options),
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

function controlPlane({ discoveryAddress }: RenderOptions): readonly EnvVar[] {
  if (discoveryAddress === undefined) return [];
  const value = `https://${discoveryAddress}`;
  return [
    { name: "XDS_ADDRESS", value },
    { name: "CA_ADDRESS", value },
  ];
}

export function gatewayLabels({ metadata, spec }: Gateway): Labels {
  return { [GATEWAY_NAME_LABEL]: metadata.name, [GATEWAY_CLASS_LABEL]: spec.gatewayClassName };
}

/**
 * What everything that runs the Gateway carries: what `infrastructure` says, and only where it says
 * nothing the Gateway's own. Source: Istio's deploymentcontroller.
 */
export function infrastructure({ metadata, spec }: Gateway): {
  labels: Labels;
  annotations: Labels;
} {
  const { labels, annotations } = spec.infrastructure ?? {};
  const given: ObjectMeta = (labels ?? annotations) === undefined ? metadata : { name: "" };
  const kept = Object.entries(annotations ?? given.annotations ?? {});
  return {
    labels: labels ?? given.labels ?? {},
    annotations: Object.fromEntries(kept.filter(([key]) => !OWN_ANNOTATIONS.has(key))),
  };
}
