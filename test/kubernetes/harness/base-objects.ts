/** What every cluster with nodes has from the start: kube-proxy's rights, and CoreDNS. */
import { DNS_ADDRESS } from "./addresses.ts";
import { COREDNS_IMAGE } from "./tools/test-images.ts";

export const KUBE_PROXY_BINDING = binding("kube-proxy", "system:node-proxier", {
  kind: "User",
  apiGroup: "rbac.authorization.k8s.io",
  name: "system:kube-proxy",
});

const NAMESPACE = "kube-system";
const LABELS = { "k8s-app": "kube-dns" };

const COREFILE = `.:53 {
  errors
  health
  ready
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 5
  }
  cache 5
}
`;

const CONTAINER = {
  name: "coredns",
  image: COREDNS_IMAGE,
  imagePullPolicy: "IfNotPresent",
  args: ["-conf", "/etc/coredns/Corefile"],
  readinessProbe: {
    httpGet: { path: "/ready", port: 8181 },
    periodSeconds: 1,
    // Without it nobody finds anybody, however busy the machine is.
    timeoutSeconds: 20,
  },
  resources: { requests: { cpu: "10m", memory: "32Mi" } },
  volumeMounts: [{ name: "config", mountPath: "/etc/coredns" }],
};

/** The cluster's DNS, at the address that kubelets tell their pods. */
export const CLUSTER_DNS: readonly object[] = [
  object("v1", "ServiceAccount", "coredns", {}),
  object("v1", "ConfigMap", "coredns", { data: { Corefile: COREFILE } }),
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: "coredns" },
    rules: [
      rule("", ["services", "pods", "namespaces"]),
      rule("discovery.k8s.io", ["endpointslices"]),
    ],
  },
  binding("coredns", "coredns", { kind: "ServiceAccount", name: "coredns", namespace: NAMESPACE }),
  object("v1", "Service", "kube-dns", {
    spec: {
      clusterIP: DNS_ADDRESS,
      selector: LABELS,
      ports: [
        { name: "dns", port: 53, protocol: "UDP" },
        { name: "dns-tcp", port: 53, protocol: "TCP" },
      ],
    },
  }),
  object("apps/v1", "Deployment", "coredns", {
    spec: {
      selector: { matchLabels: LABELS },
      template: {
        metadata: { labels: LABELS },
        spec: {
          serviceAccountName: "coredns",
          dnsPolicy: "Default",
          terminationGracePeriodSeconds: 1,
          priorityClassName: "system-cluster-critical",
          containers: [CONTAINER],
          volumes: [{ name: "config", configMap: { name: "coredns" } }],
        },
      },
    },
  }),
];

function object(apiVersion: string, kind: string, name: string, rest: object): object {
  return { apiVersion, kind, metadata: { name, namespace: NAMESPACE }, ...rest };
}

function rule(apiGroup: string, resources: readonly string[]): object {
  return { apiGroups: [apiGroup], resources, verbs: ["list", "watch"] };
}

function binding(name: string, role: string, subject: object): object {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
    subjects: [subject],
  };
}
