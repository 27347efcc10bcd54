/** Nodes, ConfigMaps, Pods and Deployments: each by what is wrong when one part of it changes. */
import {
  container,
  deployment,
  object,
  pod,
  testFine,
  testWrong,
} from "#common/kubernetes/validate/validation-fixtures.ts";

testFine([
  [
    "a node of two families",
    object("v1", "Node", { spec: { podCIDRs: ["10.1.0.0/24", "fd00::/64"] } }),
  ],
  ["a config map", object("v1", "ConfigMap", { data: { "a.conf": "x", _b: "" } })],
  [
    "a container",
    container({
      ports: [{ name: "http", containerPort: 80 }],
      livenessProbe: { httpGet: { port: "http" } },
    }),
  ],
  ["fields that nothing reads", container({ resources: { limits: { cpu: 1 } }, hostUsers: true })],
  [
    "real fields that resemble ours",
    object("v1", "Pod", {
      spec: { containers: [{ name: "a", image: "i" }], serviceAccount: "x" },
      status: { hostIPs: [] },
    }),
  ],
  ["a deployment", deployment({ replicas: 0, progressDeadlineSeconds: 1 })],
]);

testWrong([
  [
    "a pod CIDR without length",
    object("v1", "Node", { spec: { podCIDR: "10.0.0.0" } }),
    [/no CIDR block/],
  ],
  [
    "two pod CIDRs of one family",
    object("v1", "Node", { spec: { podCIDRs: ["10.0.0.0/24", "10.0.1.0/24"] } }),
    [/one IPv4 and one IPv6/],
  ],
  ["no containers", pod({ containers: [] }), [/^error spec\.containers: is an empty list/]],
  ["no spec", object("v1", "Pod"), [/^error spec: is required/]],
  [
    "two containers of one name",
    pod({
      containers: [
        { name: "a", image: "i" },
        { name: "a", image: "i" },
      ],
    }),
    [/^error spec\.containers\[1\]: has the same name a as item 0/],
  ],
  [
    "no image",
    pod({ containers: [{ name: "a" }] }),
    [/^error spec\.containers\[0\]\.image: is required/],
  ],
  [
    "a misspelt field",
    pod({ nodename: "n" }),
    [/^warning spec\.nodename: .*did you mean nodeName\?/],
  ],
  [
    "a command that is no list",
    container({ command: "sleep" }),
    [/^error spec\.containers\[0\]\.command: must be a list, .* "sleep" \(write \["sleep"\]\)/],
  ],
  ["port 0", container({ ports: [{ containerPort: 0 }] }), [/0 is not between 1 and 65535/]],
  ["port 65536", container({ ports: [{ containerPort: 65_536 }] }), [/65536 is not between/]],
  ["half a port", container({ ports: [{ containerPort: 80.5 }] }), [/must be a whole number/]],
  ["a port in text", container({ ports: [{ containerPort: "80" }] }), [/must be a whole number/]],
  [
    "a port name of 16 letters",
    container({ ports: [{ name: "a".repeat(16), containerPort: 1 }] }),
    [/no port name/],
  ],
  [
    "two port names alike",
    container({
      ports: [
        { name: "a", containerPort: 1 },
        { name: "a", containerPort: 2 },
      ],
    }),
    [/same name a/],
  ],
  [
    "a protocol in small letters",
    container({ ports: [{ containerPort: 1, protocol: "tcp" }] }),
    [/none of TCP, UDP, SCTP/],
  ],
  [
    "a probe without handler",
    container({ readinessProbe: { periodSeconds: 1 } }),
    [/exactly one of httpGet, tcpSocket, exec, grpc, has none/],
  ],
  [
    "a probe with two handlers",
    container({ readinessProbe: { exec: { command: ["x"] }, tcpSocket: { port: 1 } } }),
    [/has tcpSocket and exec/],
  ],
  [
    "a probe of an unknown port",
    container({ readinessProbe: { tcpSocket: { port: "web" } } }),
    [/^warning spec\.containers\[0\]\.readinessProbe\.tcpSocket\.port: .* has no port named web/],
  ],
  [
    "a liveness probe with two successes",
    container({ livenessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 } }),
    [/must be 1 for this probe/],
  ],
  [
    "a variable of two values",
    container({ env: [{ name: "A", value: "x", valueFrom: { fieldRef: { fieldPath: "a" } } }] }),
    [/exclude each other/],
  ],
  [
    "a mount of no volume",
    container({ volumeMounts: [{ name: "v", mountPath: "/v" }] }),
    [/no volume named v/],
  ],
  [
    "a selector the template does not match",
    deployment({ selector: { matchLabels: { app: "b" } } }),
    [/^error spec\.selector\.matchLabels\.app: the pod template lacks this label \(add app: "b"/],
  ],
  ["an empty selector", deployment({ selector: { matchLabels: {} } }), [/selects no pods/]],
  ["negative replicas", deployment({ replicas: -1 }), [/-1 is not between/]],
]);
