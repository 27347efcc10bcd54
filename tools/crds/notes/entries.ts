/** Notes of ServiceEntry and WorkloadEntry. */
import { AGE, type CrdNotes, conditionPath, type Notes, note } from "../note.ts";
import { exportTo, ZTUNNEL_COLUMN } from "./shared.ts";

const CATEGORIES = ["istio-io", "networking-istio-io"];

const ADDRESS_OR_NETWORK = {
  rule: "has(self.address) || has(self.network)",
  message:
    "an address is needed, unless a network is given: write the workload's IP address or DNS name",
};

const endpoint: Notes = {
  address: note("IP address or DNS name of the workload.", { facets: { maxLength: 256 } }),
  ports: note("Ports of the workload, by the name of the service's port.", {
    facets: { maxProperties: 128 },
    rules: [
      {
        rule: "self.all(name, size(name) > 0)",
        message: "keys are names of ports, and not empty",
      },
    ],
  }),
  labels: note("Labels by which it is selected, as those of a pod.", {
    facets: { maxProperties: 256 },
  }),
  network: note("Network that it is in; one of its own unless given.", {
    facets: { maxLength: 2_048 },
  }),
  locality: note("region, region/zone or region/zone/subzone.", { facets: { maxLength: 2_048 } }),
  weight: "Its share of traffic among its like.",
  serviceAccount: note("Service account of its identity, in this namespace.", {
    facets: { maxLength: 253 },
  }),
};

export const workloadEntry: CrdNotes = {
  plural: "workloadentries",
  shortNames: ["we"],
  categories: CATEGORIES,
  storage: "v1",
  about: "A workload that is no pod: a virtual machine, or a process somewhere.",
  columns: [
    { name: "Address", about: "Where it is reached.", path: ".spec.address" },
    { name: "ServiceAccount", about: "Its identity.", path: ".spec.serviceAccount" },
    ZTUNNEL_COLUMN,
    { name: "Network", about: "Where it is.", path: ".spec.network", wide: true },
    AGE,
  ],
  spec: note("One workload.", { rules: [ADDRESS_OR_NETWORK], fields: endpoint }),
};

export const serviceEntry: CrdNotes = {
  plural: "serviceentries",
  shortNames: ["se"],
  categories: CATEGORIES,
  storage: "v1",
  about: "A service that is no Service of Kubernetes: outside, or of workloads by label.",
  columns: [
    { name: "Hosts", about: "Its names.", path: ".spec.hosts" },
    { name: "Location", about: "MESH_EXTERNAL unless given.", path: ".spec.location" },
    { name: "Resolution", about: "NONE unless given.", path: ".spec.resolution" },
    {
      name: "Address",
      about: "The first that its hosts were given.",
      path: ".status.addresses[0].value",
    },
    ZTUNNEL_COLUMN,
    {
      name: "Waypoint",
      about: "Whether it is bound to its waypoint.",
      path: conditionPath("istio.io/WaypointBound"),
      wide: true,
    },
    AGE,
  ],
  spec: note("One service.", {
    rules: [
      {
        rule: "!(has(self.workloadSelector) && has(self.endpoints))",
        message: "workloadSelector excludes endpoints, and both are given: remove one of the two",
      },
      {
        rule:
          '!has(self.addresses) || (has(self.resolution) ? self.resolution : "NONE") ' +
          'in ["NONE", "STATIC"] || !self.addresses.exists(address, address.contains("/"))',
        message:
          "addresses can be blocks with resolution NONE or STATIC alone: write single addresses",
      },
      {
        rule:
          "!has(self.endpoints) || size(self.endpoints) == 0 || " +
          '(has(self.resolution) && self.resolution != "NONE")',
        message: "endpoints are not used with resolution NONE: write STATIC or DNS",
      },
    ],
    fields: {
      hosts: "Names by which it is called; *.example.com stands for all below.",
      addresses: note("Addresses by which it is called; without them it is given some.", {
        itemFacets: { maxLength: 64 },
      }),
      ports: note("Ports by which it is called.", {
        facets: { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] },
        rules: [
          {
            rule: "self.all(port, self.exists_one(other, port.number == other.number))",
            message: "each number can be given once",
          },
        ],
        fields: {
          number: "The number.",
          name: note("Its name, once in each ServiceEntry.", { facets: { maxLength: 256 } }),
          protocol: note("TCP, TLS, HTTP, HTTPS, HTTP2, GRPC … TCP unless given.", {
            facets: { maxLength: 256 },
          }),
          targetPort: "The port of endpoints; the same number unless given.",
        },
      }),
      location: "MESH_EXTERNAL: outside the mesh. MESH_INTERNAL: its workloads speak mutual TLS.",
      resolution:
        "Where the connection goes. NONE: the address that was called. STATIC: the " +
        "endpoints. DNS and DNS_ROUND_ROBIN: what the names resolve to. DYNAMIC_DNS: " +
        "what the called name below a wildcard resolves to.",
      endpoints: note("Its workloads.", { itemRules: [ADDRESS_OR_NETWORK], fields: endpoint }),
      workloadSelector: note("Its workloads, by label: pods and WorkloadEntries.", {
        fields: {
          labels: note("Labels that a workload has to have, all of them.", {
            facets: { maxProperties: 256 },
            itemRules: [
              {
                rule: '!self.contains("*")',
                message: "labels are compared as they are: no wildcards",
              },
            ],
          }),
        },
      }),
      exportTo,
      subjectAltNames: "Identities that its servers may have.",
    },
  }),
};
