/**
 * Gateway and GatewayClass. Source: the CRDs of kubernetes-sigs/gateway-api v1.4 and, for
 * waypoints, Istio's documentation.
 */
import type {
  Gateway,
  GatewayListener,
  NamespaceSelector,
} from "#common/kubernetes/gateway-objects.ts";
import {
  annotationKey,
  dnsSubdomain,
  labelKey,
  labelValue,
  notEmpty,
} from "#common/kubernetes/validate/formats.ts";
import { conditions, defineKind } from "#common/kubernetes/validate/metadata.ts";
import {
  anything,
  list,
  map,
  object,
  oneOf,
  port,
  type Report,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

export const GATEWAY_GROUP = "gateway.networking.k8s.io";
export const GATEWAY_VERSIONS: readonly string[] = ["v1", "v1beta1"];

/** Istio's own kind of this name describes a sidecar mesh's ingress: it is another one. */
const ISTIO_GATEWAY_GROUP = "networking.istio.io";
const WAYPOINT_CLASS = "istio-waypoint";
const WAYPOINT_FOR_LABEL = "istio.io/waypoint-for";
const WAYPOINT_FOR = ["service", "workload", "all", "none"];
const HBONE_PORT = 15_008;
/** Bounds of the lists. Source: the CRDs. */
const MAX_LISTENERS = 64;
const MAX_ADDRESSES = 16;

const namespaceSelector = strictObject<NamespaceSelector>({
  matchLabels: map(text(labelValue), labelKey),
  matchExpressions: list(
    strictObject(
      {
        key: text(labelKey),
        operator: oneOf("In", "NotIn", "Exists", "DoesNotExist"),
        values: list(text(labelValue)),
      },
      { required: ["key", "operator"] },
    ),
  ),
});

type RouteNamespaces = NonNullable<NonNullable<GatewayListener["allowedRoutes"]>["namespaces"]>;

const routeNamespaces = strictObject<RouteNamespaces>(
  { from: oneOf("All", "Same", "Selector", "None"), selector: namespaceSelector },
  {
    check: ({ from, selector }, report) => {
      if (from === "Selector" && selector === undefined) {
        report("error", ["selector"], "is required where from is Selector", "add matchLabels");
      } else if (from !== "Selector" && selector !== undefined) {
        report("warning", ["selector"], "is not read", "write from: Selector");
      }
    },
  },
);

const listener = strictObject<GatewayListener>(
  {
    name: text(dnsSubdomain),
    port,
    protocol: text(notEmpty),
    hostname: text(notEmpty),
    tls: anything,
    allowedRoutes: strictObject({ namespaces: routeNamespaces, kinds: anything }),
  },
  { required: ["name", "port", "protocol"] },
);

const address = object({ type: text(), value: text() });

export const gateway = defineKind<Gateway>({
  kind: "Gateway",
  group: GATEWAY_GROUP,
  versions: GATEWAY_VERSIONS,
  otherGroups: [ISTIO_GATEWAY_GROUP],
  name: dnsSubdomain,
  required: ["spec"],
  strict: true,
  check: checkWaypoint,
  fields: {
    spec: strictObject<Gateway["spec"]>(
      {
        gatewayClassName: text(dnsSubdomain),
        listeners: list<GatewayListener>(listener, {
          min: 1,
          max: MAX_LISTENERS,
          unique: ({ name }) => `name ${name}`,
        }),
        addresses: list(address, { max: MAX_ADDRESSES }),
        infrastructure: strictObject({
          labels: map(text(labelValue), labelKey),
          annotations: map(text(), annotationKey),
          parametersRef: strictObject(
            { group: text(), kind: text(notEmpty), name: text(notEmpty) },
            { required: ["group", "kind", "name"] },
          ),
        }),
        allowedListeners: anything,
        tls: anything,
        defaultScope: text(),
      },
      { required: ["gatewayClassName", "listeners"] },
    ),
    status: object({
      conditions,
      addresses: list(address),
      listeners: list(object({ name: text(notEmpty), conditions }, { required: ["name"] })),
    }),
  },
});

export const gatewayClass = defineKind({
  kind: "GatewayClass",
  group: GATEWAY_GROUP,
  versions: GATEWAY_VERSIONS,
  namespaced: false,
  name: dnsSubdomain,
  required: ["spec"],
  strict: true,
  fields: {
    spec: strictObject(
      { controllerName: text(notEmpty), description: text(), parametersRef: anything },
      { required: ["controllerName"] },
    ),
    status: object({ conditions }),
  },
});

function checkWaypoint({ metadata, spec }: Gateway, report: Report): void {
  const { [WAYPOINT_FOR_LABEL]: purpose } = metadata.labels ?? {};
  if (purpose !== undefined && !WAYPOINT_FOR.includes(purpose)) {
    const message = `${JSON.stringify(purpose)} is no kind of traffic`;
    const hint = `one of ${WAYPOINT_FOR.join(", ")}`;
    report("error", ["metadata", "labels", WAYPOINT_FOR_LABEL], message, hint);
  }
  if (spec.gatewayClassName !== WAYPOINT_CLASS) return;
  if (metadata.name === "none") {
    const message = 'no object can use it: the label\'s value "none" opts out';
    report("error", ["metadata", "name"], message, "give the waypoint another name");
  }
  const index = spec.listeners.findIndex(({ protocol }) => protocol === "HBONE");
  const hint = `write protocol: HBONE, port: ${HBONE_PORT}`;
  if (index < 0) {
    report("error", ["spec", "listeners"], "a waypoint needs a listener of HBONE", hint);
  } else if (spec.listeners[index]?.port !== HBONE_PORT) {
    const path = ["spec", "listeners", index, "port"];
    report("error", path, "is not the port at which the mesh reaches waypoints", hint);
  }
}
