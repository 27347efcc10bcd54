/** Routes with one part to vary, for the tests of their validation. */
import { type Json, object } from "#common/kubernetes/validate/validation-fixtures.ts";

const GROUP = "gateway.networking.k8s.io";
const parentRefs = [{ group: "", kind: "Service", name: "web", port: 80 }];
export const backend = { name: "web-v1", port: 80 };

export const httpRoute = (spec: Json, version = "v1") =>
  object(`${GROUP}/${version}`, "HTTPRoute", { spec: { parentRefs, ...spec } });
export const httpRule = (rule: Json) => httpRoute({ rules: [rule] });
export const httpMatch = (match: Json) => httpRule({ matches: [match], backendRefs: [backend] });
export const httpFilter = (filter: Json, rule: Json = {}) =>
  httpRule({ filters: [filter], backendRefs: [backend], ...rule });
export const grpcRoute = (spec: Json) =>
  object(`${GROUP}/v1`, "GRPCRoute", { spec: { parentRefs, ...spec } });
export const grpcMatch = (match: Json) =>
  grpcRoute({ rules: [{ matches: [match], backendRefs: [backend] }] });
export const tcpRoute = (spec: Json, version = "v1") =>
  object(`${GROUP}/${version}`, "TCPRoute", {
    spec: { parentRefs, rules: [{ backendRefs: [backend] }], ...spec },
  });
export const tlsRoute = (spec: Json, version = "v1") =>
  object(`${GROUP}/${version}`, "TLSRoute", {
    spec: { parentRefs, hostnames: ["a.example"], rules: [{ backendRefs: [backend] }], ...spec },
  });
export const grant = (spec: Json, version = "v1") =>
  object(`${GROUP}/${version}`, "ReferenceGrant", {
    spec: {
      from: [{ group: GROUP, kind: "HTTPRoute", namespace: "shop" }],
      to: [{ group: "", kind: "Service" }],
      ...spec,
    },
  });
export const backendTls = (validation: Json, spec: Json = {}) =>
  object(`${GROUP}/v1`, "BackendTLSPolicy", {
    spec: {
      targetRefs: [{ group: "", kind: "Service", name: "web" }],
      validation: { hostname: "web.example", ...validation },
      ...spec,
    },
  });
