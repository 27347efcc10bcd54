/** A config dump with one of everything that the tables of `ztunnel-config` tell apart. */

const certificate = (serialNumber: string, validFrom: string, expirationTime: string) => ({
  pem: "",
  serialNumber,
  validFrom,
  expirationTime,
});
const CURRENT = ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"] as const;
const EXPIRED = ["2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"] as const;

const workload = (name: string, more: object) => ({
  uid: `Kubernetes//Pod/shop/${name}`,
  workloadIps: [],
  protocol: "HBONE",
  name,
  namespace: "shop",
  status: "Healthy",
  clusterId: "Kubernetes",
  ...more,
});

const service = (name: string, more: object) => ({
  name,
  namespace: "shop",
  hostname: `${name}.shop.svc.cluster.local`,
  vips: [],
  ports: { 80: 8080 },
  endpoints: {},
  ...more,
});

const endpoints = (...names: string[]) =>
  Object.fromEntries(
    names.map((name) => {
      const workloadUid = `Kubernetes//Pod/shop/${name}`;
      return [workloadUid, { workloadUid, port: { 80: 8080 }, status: "Healthy" }];
    }),
  );

const byHostname = { destination: "shop/waypoint.shop.svc.cluster.local", hboneMtlsPort: 15008 };
const byAddress = { destination: "/10.96.0.9", hboneMtlsPort: 15008 };
const nobodys = { destination: "n/192.0.2.1", hboneMtlsPort: 15008 };

export const DUMP = {
  workloads: [
    workload("web-1", { workloadIps: ["10.0.2.1"], node: "node2", waypoint: byHostname }),
    workload("web-0", { workloadIps: ["10.0.1.1", "fd00::1"], node: "node1", waypoint: byAddress }),
    workload("client", { workloadIps: ["10.0.1.9"], node: "node1", protocol: "TCP" }),
    workload("vm", { hostname: "vm.example.com", waypoint: nobodys, status: "Unhealthy" }),
    { ...workload("agent", { workloadIps: ["10.0.0.1"], node: "node1" }), namespace: "apps" },
  ],
  services: [
    service("web", {
      vips: ["/10.96.0.7", "/fd00:96::7"],
      waypoint: byHostname,
      endpoints: endpoints("web-0", "web-1", "vm", "gone"),
    }),
    service("waypoint", { vips: ["/10.96.0.9"] }),
    service("headless", {}),
  ],
  policies: [
    { name: "web", namespace: "shop", scope: "WorkloadSelector", action: "Deny", rules: [] },
    { name: "all", namespace: "istio-system", scope: "Global", action: "Allow", rules: [] },
    { name: "apps", namespace: "apps", scope: "Namespace", action: "Allow", rules: [] },
  ],
  certificates: [
    {
      identity: "spiffe://cluster.local/ns/shop/sa/web",
      state: "Available",
      certChain: [certificate("255", ...CURRENT), certificate("4096", ...CURRENT)],
      rootCerts: [certificate("340282366920938463463374607431768211455", ...EXPIRED)],
    },
    {
      identity: "spiffe://cluster.local/ns/shop/sa/old",
      state: "Available",
      certChain: [certificate("1", ...CURRENT), certificate("2", ...CURRENT)],
      rootCerts: [],
    },
    {
      identity: "spiffe://cluster.local/ns/shop/sa/refused",
      state: "Unavailable: the CA said no",
      certChain: [],
      rootCerts: [],
    },
    {
      identity: "spiffe://cluster.local/ns/shop/sa/new",
      state: "Initializing",
      certChain: [],
      rootCerts: [],
    },
  ],
  workloadState: {
    "b-uid": {
      state: "Up",
      info: { name: "web-0", namespace: "shop", serviceAccount: "web" },
      connections: {
        inbound: [
          {
            src: "10.0.1.9:40000",
            originalDst: "web.shop.svc.cluster.local",
            actualDst: "10.0.1.1:8080",
            protocol: "HBONE",
          },
          {
            src: "192.0.2.7:40001",
            originalDst: null,
            actualDst: "10.0.1.1:8080",
            protocol: "TCP",
          },
        ],
        outbound: [],
      },
    },
    "a-uid": {
      state: "Up",
      info: { name: "client", namespace: "shop", serviceAccount: "client" },
      connections: {
        inbound: [],
        outbound: [
          {
            src: "10.0.1.9:40000",
            originalDst: "10.96.0.7:80",
            actualDst: "10.0.1.1:15008",
            protocol: "HBONE",
          },
        ],
      },
    },
    "c-uid": {
      state: "Pending",
      info: { name: "late", namespace: "apps", serviceAccount: "default" },
    },
  },
  stagedServices: {},
  version: { version: "test" },
  config: {},
};
