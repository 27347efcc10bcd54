/** ServiceEntry and WorkloadEntry. */
import {
  type Json,
  object,
  testFine,
  testWrong,
} from "#common/kubernetes/validate/validation-fixtures.ts";

const API = "networking.istio.io/v1";
const entry = (spec: Json) =>
  object(API, "ServiceEntry", {
    spec: {
      hosts: ["api.example.com"],
      ports: [{ number: 80, name: "http", protocol: "http" }],
      resolution: "STATIC",
      ...spec,
    },
  });
const endpoint = (fields: Json, spec: Json = {}) => entry({ endpoints: [fields], ...spec });
const vm = (spec: unknown) => object(API, "WorkloadEntry", { spec });

testFine([
  [
    "every field of a ServiceEntry",
    entry({
      hosts: ["api.example.com", "*.cdn.example.com"],
      addresses: ["192.0.2.1", "198.51.100.0/24", "2001:db8::/64"],
      ports: [{ number: 443, name: "tls", protocol: "TLS", targetPort: 8443 }],
      location: "MESH_EXTERNAL",
      endpoints: [
        {
          address: "192.0.2.7",
          ports: { tls: 9443 },
          labels: { app: "api" },
          network: "n",
          locality: "eu/west/a",
          weight: 3,
          serviceAccount: "api",
        },
        { network: "behind-a-gateway" },
      ],
      exportTo: [".", "bank"],
      subjectAltNames: ["spiffe://cluster.local/ns/shop/sa/api"],
    }),
  ],
  ["a ServiceEntry that selects", entry({ workloadSelector: { labels: { app: "api" } } })],
  ["names of endpoints", endpoint({ address: "db.example.com" }, { resolution: "DNS" })],
  [
    "a ServiceEntry with its status, of an older version",
    object("networking.istio.io/v1beta1", "ServiceEntry", {
      spec: { hosts: ["a.b"] },
      status: { addresses: [{ value: "240.240.0.1", host: "a.b" }], conditions: [] },
    }),
  ],
  ["a wildcard that a waypoint resolves", entry({ hosts: ["*.a.b"], resolution: "DYNAMIC_DNS" })],
  ["a WorkloadEntry", vm({ address: "2001:db8::7", labels: { app: "db" }, serviceAccount: "db" })],
]);

testWrong([
  ["an unknown field", entry({ host: "x" }), [/error spec\.host: is an unknown field/]],
  ["no host", entry({ hosts: [] }), [/spec\.hosts: is an empty list/]],
  ["the host of everything", entry({ hosts: ["*"] }), [/spec\.hosts\[0\]: "\*" is no host/]],
  [
    "a host in upper case",
    entry({ hosts: ["A.b"] }),
    [/spec\.hosts\[0\]: "A\.b" is no host .*lower/],
  ],
  ["an address as host", entry({ hosts: ["10.0.0.1"] }), [/spec\.hosts\[0\]: .* is no host/]],
  [
    "a host twice",
    entry({ hosts: ["a.b", "a.b"] }),
    [/hosts\[1\]: has the same host a\.b as item 0/],
  ],
  [
    "an address that is none",
    entry({ addresses: ["10.0.0"] }),
    [/spec\.addresses\[0\]: "10\.0\.0"/],
  ],
  [
    "a block where names are resolved",
    entry({ addresses: ["10.0.0.0/8"], resolution: "DNS" }),
    [/spec\.addresses\[0\]: is a block, which DNS cannot have/],
  ],
  [
    "a port without a name, a number twice, an unknown protocol",
    entry({
      ports: [{ number: 80 }, { number: 80, name: "a" }, { number: 81, name: "b", protocol: "X" }],
    }),
    [/ports\[0\]\.name: is required/, /ports\[2\]\.protocol: "X" is no protocol/],
  ],
  [
    "a port name twice",
    entry({
      ports: [
        { number: 80, name: "a" },
        { number: 81, name: "a" },
      ],
    }),
    [/spec\.ports\[1\]\.name: is the name of item 0 too/],
  ],
  [
    "a selector beside endpoints",
    entry({ workloadSelector: { labels: { a: "b" } }, endpoints: [] }),
    [/spec\.workloadSelector: excludes endpoints/],
  ],
  [
    "a selector that selects nothing",
    entry({ workloadSelector: {} }),
    [/warning spec\.workloadSelector: has no labels/],
  ],
  [
    "endpoints where connections go where they were going",
    endpoint({ address: "192.0.2.7" }, { resolution: "NONE" }),
    [/spec\.endpoints: are not used with resolution NONE/],
  ],
  [
    "a name where addresses are wanted",
    endpoint({ address: "db.example.com" }),
    [/spec\.endpoints\[0\]\.address: is a name, which STATIC does not resolve/],
  ],
  [
    "a wildcard that nobody resolves",
    entry({ hosts: ["*.a.b"], resolution: "DNS" }),
    [/spec\.hosts\[0\]: is a wildcard, which DNS cannot resolve/],
  ],
  [
    "a port that the ServiceEntry lacks",
    endpoint({ address: "192.0.2.7", ports: { https: 443 } }),
    [/endpoints\[0\]\.ports\.https: is no port .*spec\.ports has http/],
  ],
  [
    "one address of two endpoints",
    entry({ endpoints: [{ address: "192.0.2.7" }, { address: "192.0.2.7" }] }),
    [/warning spec\.endpoints\[1\]\.address: is the address of item 0 too/],
  ],
  [
    "everything and one namespace",
    entry({ exportTo: ["*", "shop"] }),
    [/spec\.exportTo: "\*" and "~" stand alone/],
  ],
  [
    "a namespace that can be none",
    entry({ exportTo: ["a b"] }),
    [/exportTo\[0\]: "a b" is neither/],
  ],
  [
    "a WorkloadEntry without an address",
    vm({ labels: { a: "b" } }),
    [/spec\.address: is required but missing/],
  ],
  ["a socket file", vm({ address: "unix:///run/x" }), [/spec\.address: is a Unix socket/]],
  ["an address of nobody", vm({ address: "0.0.0.0" }), [/0\.0\.0\.0 is the unspecified address/]],
  ["an address of many", vm({ address: "ff02::1" }), [/ff02::1 is a multicast address/]],
  ["half an address", vm({ address: "10.0.0" }), [/"10\.0\.0" is neither an IP address nor/]],
  ["a locality with a gap", vm({ address: "192.0.2.1", locality: "a//b" }), [/is no locality/]],
  ["a negative weight", vm({ address: "192.0.2.1", weight: -1 }), [/-1 is not between 0 and/]],
  ["a port of text", vm({ address: "192.0.2.1", ports: { http: "80" } }), [/a whole number/]],
]);
