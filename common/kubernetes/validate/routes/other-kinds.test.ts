/** The kinds beside HTTPRoute: what their CRDs and CEL rules take, and what they refuse. */
import {
  backend,
  backendTls,
  grant,
  grpcMatch,
  grpcRoute,
  tcpRoute,
  tlsRoute,
} from "#common/kubernetes/validate/routes/route-fixtures.ts";
import { testFine, testWrong } from "#common/kubernetes/validate/validation-fixtures.ts";

const rule = { backendRefs: [backend] };
const ca = { caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "ca" }] };
const service = { group: "", kind: "Service", name: "web" };

testFine([
  ["a GRPCRoute without rules", grpcRoute({})],
  ["a gRPC service", grpcMatch({ method: { service: "shop.v1.Cart" } })],
  [
    "a gRPC method by regular expression",
    grpcMatch({ method: { type: "RegularExpression", method: "Get.*" } }),
  ],
  ["a gRPC header", grpcMatch({ headers: [{ name: "v", value: "1" }] })],
  ["a TCPRoute", tcpRoute({})],
  ["an older TCPRoute of two rules", tcpRoute({ rules: [rule, rule] }, "v1alpha2")],
  ["a TLSRoute", tlsRoute({ hostnames: ["*.example.com"] })],
  ["an older TLSRoute without host names", tlsRoute({ hostnames: [] }, "v1alpha2")],
  ["a ReferenceGrant", grant({})],
  ["an older ReferenceGrant for one name", grant({ to: [{ ...service }] }, "v1beta1")],
  ["a BackendTLSPolicy by ConfigMap", backendTls(ca)],
  [
    "a BackendTLSPolicy with everything",
    backendTls(
      {
        wellKnownCACertificates: "System",
        subjectAltNames: [
          { type: "Hostname", hostname: "*.example" },
          { type: "URI", uri: "spiffe://cluster.local/ns/a/sa/b" },
        ],
      },
      {
        targetRefs: [
          { ...service, sectionName: "a" },
          { ...service, sectionName: "b" },
        ],
        options: { "example.com/x": "y" },
      },
    ),
  ],
]);

testWrong([
  [
    "an empty gRPC method match",
    grpcMatch({ method: {} }),
    [/method: names neither a service nor a method/],
  ],
  [
    "a gRPC service with a slash",
    grpcMatch({ method: { service: "a/b" } }),
    [/"a\/b" is no gRPC service/],
  ],
  [
    "a gRPC filter of HTTPRoute",
    grpcRoute({ rules: [{ filters: [{ type: "URLRewrite" }] }] }),
    [/"URLRewrite" is none of/],
  ],
  [
    "a TCPRoute without backends",
    tcpRoute({ rules: [{ backendRefs: [] }] }),
    [/backendRefs: is an empty list/],
  ],
  [
    "a TCPRoute of two rules",
    tcpRoute({ rules: [rule, rule] }),
    [/spec\.rules: has 2 items, and TCPRoute has one rule only/],
  ],
  [
    "a TCPRoute with filters",
    tcpRoute({ rules: [{ backendRefs: [{ ...backend, filters: [] }] }] }),
    [/filters: is an unknown field/],
  ],
  ["a TLSRoute without host names", tlsRoute({ hostnames: [] }), [/hostnames: is required/]],
  [
    "a TLSRoute for an address",
    tlsRoute({ hostnames: ["192.0.2.1"] }),
    [/hostnames\[0\]: is an IP address/],
  ],
  ["a TLSRoute with a wildcard inside", tlsRoute({ hostnames: ["a.*.b"] }), [/hostnames\[0\]/]],
  ["a ReferenceGrant to nothing", grant({ to: [] }), [/spec\.to: is an empty list/]],
  [
    "a ReferenceGrant from no namespace",
    grant({ from: [{ group: "", kind: "Pod" }] }),
    [/namespace: is required/],
  ],
  ["a BackendTLSPolicy that trusts nobody", backendTls({}), [/caCertificateRefs: is required/]],
  [
    "a BackendTLSPolicy that trusts twice",
    backendTls({ ...ca, wellKnownCACertificates: "System" }),
    [/both are given/],
  ],
  [
    "an unknown set of certificates",
    backendTls({ wellKnownCACertificates: "Mine" }),
    [/"Mine" is no set of certificates \(write System\)/],
  ],
  [
    "a SAN without its value",
    backendTls({ ...ca, subjectAltNames: [{ type: "URI", hostname: "a" }] }),
    [/uri: is required/, /hostname: does not belong/],
  ],
  [
    "a target twice",
    backendTls(ca, { targetRefs: [service, service] }),
    [/targetRefs\[1\]: is there already/],
  ],
  [
    "a target and a section of it",
    backendTls(ca, { targetRefs: [service, { ...service, sectionName: "a" }] }),
    [/not both name a section/],
  ],
  ["a policy without a host name", backendTls({ ...ca, hostname: undefined }), [/hostname/]],
]);
