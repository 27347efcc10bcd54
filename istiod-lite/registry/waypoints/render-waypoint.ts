/**
 * The objects that run a waypoint: a ServiceAccount, a Deployment and a Service, named and labelled
 * as Istio's template does (manifests/charts/istio-control/istio-discovery/files/waypoint.yaml), so
 * that what selects, watches or patches Istio's waypoints finds these.
 */
import type {
  Deployment,
  Gateway,
  KubeService,
  ObjectMeta,
  OwnerReference,
  ServiceAccount,
} from "#common/kubernetes/objects.ts";
import { HBONE_PORT, READINESS_PORT } from "#common/model/ports.ts";
import { MANAGED_BY_US, MANAGED_LABEL, SERVICE_TYPE } from "./names.ts";
import {
  gatewayLabels,
  infrastructure,
  podMetadata,
  podSpec,
  type RenderOptions,
} from "./render-waypoint-pod.ts";
import { GATEWAY_NAME_LABEL } from "./scope.ts";
import { deploymentName, serviceAccountName } from "./waypoint-facts.ts";

type Labels = Readonly<Record<string, string>>;

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
    ownerReferences: [ownerReference(gateway)],
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

/** With the Gateway go its objects: an API server's garbage collector sees to it by the uid. */
function ownerReference({ apiVersion, metadata: { name, uid } }: Gateway): OwnerReference {
  const reference = { apiVersion, kind: "Gateway", name };
  if (uid === undefined) return reference;
  return { ...reference, uid, controller: true, blockOwnerDeletion: true };
}

/** Made only where somebody says something of it. Source: Istio's "Gateway customization". */
export function renderScaling(gateway: Gateway) {
  const name = deploymentName(gateway);
  const matchLabels = { [GATEWAY_NAME_LABEL]: gateway.metadata.name };
  const metadata: ObjectMeta = {
    name,
    namespace: gateway.metadata.namespace ?? "default",
    labels: { ...gatewayLabels(gateway), [MANAGED_LABEL]: MANAGED_BY_US },
    ownerReferences: [ownerReference(gateway)],
  };
  return {
    horizontalPodAutoscaler: {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata,
      spec: { scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name } },
    },
    podDisruptionBudget: {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata,
      spec: { selector: { matchLabels } },
    },
  } as const;
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
