/** Each kind by one good object and by what is wrong when one field of it changes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatField } from "#common/kubernetes/problem.ts";
import { isNamespaced, validateObject } from "#common/kubernetes/validate/validate-object.ts";

type Json = Record<string, unknown>;

/** `error spec.x: message (hint)`, for each issue. */
function issuesOf(value: unknown): string[] {
  return validateObject(value).issues.map(({ severity, path, message, hint }) => {
    return `${severity} ${formatField(path)}: ${message}${hint === undefined ? "" : ` (${hint})`}`;
  });
}

function object(apiVersion: string, kind: string, fields: Json = {}, metadata: Json = {}): Json {
  return { apiVersion, kind, metadata: { name: "x", ...metadata }, ...fields };
}

const pod = (spec: Json) =>
  object("v1", "Pod", { spec: { containers: [{ name: "a", image: "i" }], ...spec } });
const container = (fields: Json) => pod({ containers: [{ name: "a", image: "i", ...fields }] });
const service = (spec: Json) =>
  object("v1", "Service", { spec: { ports: [{ port: 80 }], ...spec } });
const slice = (fields: Json) =>
  object(
    "discovery.k8s.io/v1",
    "EndpointSlice",
    { addressType: "IPv4", ...fields },
    {
      labels: { "kubernetes.io/service-name": "x" },
    },
  );
const policy = (spec: unknown, metadata: Json = {}) =>
  object("security.istio.io/v1", "AuthorizationPolicy", { spec }, metadata);
const source = (fields: Json) => policy({ rules: [{ from: [{ source: fields }] }] });
const when = (condition: Json) => policy({ rules: [{ when: [condition] }] });
const peer = (spec: unknown) => object("security.istio.io/v1", "PeerAuthentication", { spec });
const deployment = (spec: Json) =>
  object("apps/v1", "Deployment", {
    spec: {
      selector: { matchLabels: { app: "a" } },
      template: {
        metadata: { labels: { app: "a" } },
        spec: { containers: [{ name: "a", image: "i" }] },
      },
      ...spec,
    },
  });

/** Objects that are fine, and say nothing. */
const FINE: [string, Json][] = [
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
  ["a headless service without ports", service({ clusterIP: "None", ports: [] })],
  [
    "a dual-stack service",
    service({
      clusterIP: "10.0.0.1",
      clusterIPs: ["10.0.0.1", "fd00::1"],
      ipFamilies: ["IPv4", "IPv6"],
      ipFamilyPolicy: "RequireDualStack",
    }),
  ],
  [
    "one port for two protocols",
    service({
      ports: [
        { name: "a", port: 53 },
        { name: "b", port: 53, protocol: "UDP" },
      ],
    }),
  ],
  ["an external name", service({ type: "ExternalName", externalName: "example.com", ports: [] })],
  [
    "an endpoint slice",
    slice({ endpoints: [{ addresses: ["10.1.1.1"], zone: "a" }], ports: [{ name: "", port: 80 }] }),
  ],
  ["a policy that denies everything", policy({})],
  ["a policy without spec", object("security.istio.io/v1beta1", "AuthorizationPolicy")],
  ["a rule that matches everything", policy({ rules: [{}] })],
  [
    "every field of a source",
    source({
      principals: ["*"],
      notNamespaces: ["a*"],
      ipBlocks: ["10.0.0.1", "fd00::/8"],
      requestPrincipals: ["a/*"],
      remoteIpBlocks: ["1.2.3.4"],
    }),
  ],
  ["service accounts", source({ serviceAccounts: ["a", "ns/a"] })],
  [
    "L7 fields",
    policy({
      rules: [
        {
          to: [{ operation: { hosts: ["*.x"], methods: ["GET"], paths: ["/a/{*}"] } }],
          when: [{ key: "request.headers[x]", values: ["a"] }],
        },
      ],
    }),
  ],
  ["a custom action", policy({ action: "CUSTOM", provider: { name: "ext" }, rules: [{}] })],
  [
    "a policy of a waypoint",
    policy({
      targetRefs: [
        { group: "gateway.networking.k8s.io", kind: "Gateway", name: "w" },
        { kind: "Service", name: "s" },
      ],
    }),
  ],
  [
    "mtls by port",
    peer({
      selector: { matchLabels: { a: "b" } },
      mtls: { mode: "STRICT" },
      portLevelMtls: { "8080": { mode: "DISABLE" } },
    }),
  ],
];

describe("objects that are fine", () => {
  for (const [name, value] of FINE) {
    test(name, () => {
      assert.deepEqual(issuesOf(value), []);
      assert.ok(validateObject(value).object);
    });
  }
});

/** What is wrong, and exactly the issues that say so. */
const WRONG: [string, unknown, RegExp[]][] = [
  ["no object at all", [1], [/^error : must be a Kubernetes object/]],
  ["no kind", { apiVersion: "v1" }, [/^error kind: is required but missing/]],
  ["no apiVersion", { kind: "Pod" }, [/^error apiVersion: is required/]],
  [
    "another version",
    object("apps/v1beta1", "Deployment"),
    [/^error apiVersion: .*write apiVersion: apps\/v1\)/],
  ],
  [
    "the wrong group",
    object("v1", "AuthorizationPolicy"),
    [/^error apiVersion: .*security\.istio\.io\/v1\)/],
  ],
  ["no metadata", { apiVersion: "v1", kind: "Namespace" }, [/^error metadata: is required/]],
  [
    "a name in capitals",
    object("v1", "Namespace", {}, { name: "Shop" }),
    [/^error metadata\.name: "Shop" is no DNS label/],
  ],
  [
    "a namespace of 64 letters",
    object("v1", "Namespace", {}, { name: "a".repeat(64) }),
    [/no DNS label/],
  ],
  [
    "a path as name",
    object("v1", "Pod", { spec: pod({}).spec }, { name: "../x" }),
    [/^error metadata\.name/],
  ],
  [
    "a service that begins with a digit",
    { ...service({}), metadata: { name: "1a" } },
    [/no service name/],
  ],
  [
    "a node in a namespace",
    object("v1", "Node", {}, { namespace: "a" }),
    [/^error metadata\.namespace: .*in no namespace/],
  ],
  [
    "a number as label",
    object("v1", "Namespace", {}, { labels: { a: 1 } }),
    [/^error metadata\.labels\.a: must be text, not the number 1 \(quote it: "1"\)$/],
  ],
  [
    "a label key with a space",
    object("v1", "Namespace", {}, { labels: { "a b": "x" } }),
    [/no label key/],
  ],
  [
    "a label key with two slashes",
    object("v1", "Namespace", {}, { labels: { "a/b/c": "x" } }),
    [/no label key/],
  ],
  [
    "a label value with a slash",
    object("v1", "Namespace", {}, { labels: { a: "x/y" } }),
    [/no label value/],
  ],
  [
    "a label without value",
    object("v1", "Namespace", {}, { labels: { a: null } }),
    [/^error metadata\.labels\.a: has no value/],
  ],
  [
    "a misspelt mesh label",
    object("v1", "Namespace", {}, { labels: { "istio.io/dataplan-mode": "ambient" } }),
    [
      /^warning metadata\.labels\["istio\.io\/dataplan-mode"\]: .*did you mean istio\.io\/dataplane-mode\?/,
    ],
  ],
  [
    "a misspelt mesh mode",
    object("v1", "Namespace", {}, { labels: { "istio.io/dataplane-mode": "ambiant" } }),
    [/^warning .*write ambient or none/],
  ],
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
    [
      /^error spec\.containers\[0\]\.command: must be a list, not the text "sleep" \(write \["sleep"\]\)/,
    ],
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
    [
      /^warning spec\.containers\[0\]\.readinessProbe\.tcpSocket\.port: the container has no port named web/,
    ],
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
  ["no service ports", service({ ports: [] }), [/^error spec\.ports: is required/]],
  [
    "the same port twice",
    service({
      ports: [
        { name: "a", port: 80 },
        { name: "b", port: 80 },
      ],
    }),
    [/^error spec\.ports\[1\]: has the same port and protocol 80\/TCP as item 0/],
  ],
  [
    "two ports, one without name",
    service({ ports: [{ name: "a", port: 80 }, { port: 81 }] }),
    [/^error spec\.ports\[1\]\.name: is required with several ports/],
  ],
  [
    "two ports of one name",
    service({
      ports: [
        { name: "a", port: 80 },
        { name: "a", port: 81 },
      ],
    }),
    [/is the name of item 0 too/],
  ],
  [
    "a target port in text",
    service({ ports: [{ port: 80, targetPort: "8080" }] }),
    [/"8080" is text, not a port \(write 8080 unquoted\)/],
  ],
  [
    "a target port that is no name",
    service({ ports: [{ port: 80, targetPort: "HTTP" }] }),
    [/no port name/],
  ],
  ["a cluster IP that is none", service({ clusterIP: "10.0.0.300" }), [/no IP address/]],
  [
    "two cluster IPs of one family",
    service({ clusterIPs: ["10.0.0.1", "10.0.0.2"] }),
    [/one IPv4 and one IPv6/],
  ],
  ["one family in two lists", service({ ipFamilies: ["IPv4", "IPv4"] }), [/same family IPv4/]],
  [
    "an address of another family",
    service({ clusterIP: "fd00::1", ipFamilies: ["IPv4"] }),
    [/is IPv4, but the cluster IP is fd00::1/],
  ],
  [
    "single stack of two",
    service({ ipFamilyPolicy: "SingleStack", ipFamilies: ["IPv4", "IPv6"] }),
    [/allows one family/],
  ],
  [
    "no external name",
    service({ type: "ExternalName" }),
    [/^error spec\.externalName: is required/],
  ],
  ["no address type", slice({ addressType: undefined }), [/^error addressType: has no value/]],
  [
    "an endpoint of another family",
    slice({ endpoints: [{ addresses: ["fd00::1"] }] }),
    [/"fd00::1" is no IPv4 address/],
  ],
  ["an endpoint on loopback", slice({ endpoints: [{ addresses: ["127.0.0.1"] }] }), [/loopback/]],
  [
    "an endpoint at the metadata service",
    slice({ endpoints: [{ addresses: ["169.254.169.254"] }] }),
    [/link-local/],
  ],
  [
    "a slice of no service",
    object("discovery.k8s.io/v1", "EndpointSlice", { addressType: "IPv4", endpoints: [] }),
    [/^warning metadata\.labels: .*no Service/],
  ],

  [
    "an unknown field",
    policy({ rule: [] }),
    [/^error spec\.rule: is an unknown field \(did you mean rules\?\)/],
  ],
  [
    "an unknown field beside spec",
    { ...policy({}), rules: [] },
    [/^error rules: is an unknown field/],
  ],
  [
    "a field of another level",
    source({ ports: ["80"] }),
    [
      /^error spec\.rules\[0\]\.from\[0\]\.source\.ports: is an unknown field \(known here: principals/,
    ],
  ],
  ["a spec without value", policy(null), [/^error spec: has no value/]],
  ["rules without value", policy({ rules: null }), [/^error spec\.rules: has no value/]],
  [
    "an unknown action",
    policy({ action: "Deny" }),
    [/none of ALLOW, DENY, AUDIT, CUSTOM \(did you mean DENY\?\)/],
  ],
  [
    "DENY without rules",
    policy({ action: "DENY" }),
    [/^error spec\.rules: .*DENY and no rules never applies/],
  ],
  ["CUSTOM without provider", policy({ action: "CUSTOM", rules: [{}] }), [/^error spec\.provider/]],
  [
    "from without items",
    policy({ rules: [{ from: [] }] }),
    [/^error spec\.rules\[0\]\.from: is an empty list/],
  ],
  ["from without source", policy({ rules: [{ from: [{}] }] }), [/source: is required/]],
  [
    "an empty source",
    source({}),
    [/^error spec\.rules\[0\]\.from\[0\]\.source: is empty: it would match everything/],
  ],
  ["an empty operation", policy({ rules: [{ to: [{ operation: {} }] }] }), [/operation: is empty/]],
  ["no principals", source({ principals: [] }), [/principals: is an empty list/]],
  ["an empty principal", source({ principals: [""] }), [/principals\[0\]: is empty/]],
  [
    "a principal as URI",
    source({ principals: ["spiffe://cluster.local/ns/a/sa/b"] }),
    [/principals\[0\]: .*without spiffe:\/\/.*\(write cluster\.local\/ns\/a\/sa\/b\)/],
  ],
  [
    "a wildcard in the middle",
    source({ notPrincipals: ["cluster.local/ns/*/sa/x"] }),
    [/notPrincipals\[0\]: .*never matches/],
  ],
  ["wildcards at both ends", source({ namespaces: ["*a*"] }), [/never matches/]],
  [
    "three parts of a service account",
    source({ serviceAccounts: ["a/b/c"] }),
    [/no service account/],
  ],
  [
    "a wildcard service account",
    source({ serviceAccounts: ["*"] }),
    [/wildcards are not possible/],
  ],
  [
    "service accounts with principals",
    source({ serviceAccounts: ["a"], principals: ["b"] }),
    [/serviceAccounts: cannot be combined with principals/],
  ],
  [
    "a block of 33 bits",
    source({ ipBlocks: ["10.0.0.0/8", "10.0.0.0/33"] }),
    [/^error spec\.rules\[0\]\.from\[0\]\.source\.ipBlocks\[1\]: "10\.0\.0\.0\/33" is neither/],
  ],
  ["an address with a zone", source({ ipBlocks: ["fe80::1%eth0"] }), [/is neither/]],
  [
    "ports as numbers",
    policy({ rules: [{ to: [{ operation: { ports: [80] } }] }] }),
    [/ports\[0\]: must be text, not the number 80 \(quote it: "80"\)/],
  ],
  [
    "a range of ports",
    policy({ rules: [{ to: [{ operation: { notPorts: ["80-90"] } }] }] }),
    [/notPorts\[0\]: "80-90" is no port/],
  ],
  [
    "ports 0, 65536, +1, 080",
    policy({ rules: [{ to: [{ operation: { ports: ["0", "65536", "+1", "080"] } }] }] }),
    [/ports\[0\]/, /ports\[1\]/, /ports\[2\]/, /ports\[3\]/],
  ],
  [
    "an unknown attribute",
    when({ key: "source.principals", values: ["a"] }),
    [/key: "source\.principals" is an unknown attribute \(did you mean source\.principal\?\)/],
  ],
  ["a condition without values", when({ key: "source.ip" }), [/neither values nor notValues/]],
  [
    "a condition with a bad address",
    when({ key: "source.ip", notValues: ["a"] }),
    [/when\[0\]\.notValues\[0\]: "a" is neither/],
  ],
  [
    "a condition with a bad port",
    when({ key: "destination.port", values: ["http"] }),
    [/values\[0\]: "http" is no port/],
  ],
  [
    "an attribute of every object",
    when({ key: "constructor", values: ["a"] }),
    [/unknown attribute/],
  ],
  [
    "a selector and a target",
    policy({ selector: { matchLabels: { a: "b" } }, targetRefs: [{ kind: "Service", name: "s" }] }),
    [/^error spec\.targetRefs: cannot be combined with selector/],
  ],
  [
    "an empty selector of a policy",
    policy({ selector: {} }),
    [/^warning spec\.selector: has no labels, so the policy applies to every workload/],
  ],
  [
    "a wildcard in a selector",
    policy({ selector: { matchLabels: { a: "*" } } }),
    [/no label value/],
  ],
  [
    "expressions in a selector",
    policy({ selector: { matchExpressions: [] } }),
    [/matchExpressions: is an unknown field/],
  ],
  [
    "a target of another kind",
    policy({ targetRefs: [{ kind: "Pod", name: "p" }] }),
    [/targetRefs\[0\]\.kind: Pod is none of Gateway/],
  ],
  [
    "a target of another group",
    policy({ targetRefs: [{ kind: "Gateway", name: "p" }] }),
    [/group: "gateway\.networking\.k8s\.io"\)/],
  ],
  [
    "a target in another namespace",
    policy({ targetRefs: [{ kind: "Service", name: "p", namespace: "b" }] }),
    [/only target its own namespace/],
  ],
  [
    "an unknown mode",
    peer({ mtls: { mode: "strict" } }),
    [/none of UNSET, DISABLE, PERMISSIVE, STRICT \(did you mean STRICT\?\)/],
  ],
  [
    "ports without selector",
    peer({ portLevelMtls: { "80": { mode: "STRICT" } } }),
    [/^error spec\.portLevelMtls: has no effect without a selector/],
  ],
  [
    "a port that is none",
    peer({ selector: { matchLabels: { a: "b" } }, portLevelMtls: { "0": {}, http: {} } }),
    [/portLevelMtls\["0"\]/, /portLevelMtls\.http/],
  ],
  [
    "no ports",
    peer({ selector: { matchLabels: { a: "b" } }, portLevelMtls: {} }),
    [/portLevelMtls: is empty/],
  ],
];

describe("objects that are not", () => {
  for (const [name, value, expected] of WRONG) {
    test(name, () => {
      const issues = issuesOf(value);
      assert.equal(issues.length, expected.length, issues.join("\n"));
      expected.forEach((pattern, index) => void assert.match(issues[index] ?? "", pattern));
      const broken = issues.some((issue) => issue.startsWith("error"));
      assert.equal(validateObject(value).object === undefined, broken);
    });
  }
});

test("namespaced objects get the namespace default, cluster-scoped ones none", () => {
  assert.equal(validateObject(service({})).object?.metadata.namespace, "default");
  assert.equal(validateObject(object("v1", "Node")).object?.metadata.namespace, undefined);
  assert.equal(isNamespaced("Pod"), true);
  assert.equal(isNamespaced("Namespace"), false);
});

test("nulls of core kinds are left out, as an API server does", () => {
  const value = object(
    "v1",
    "Pod",
    {
      spec: { nodeName: null, containers: [{ name: "a", image: "i", ports: null }] },
    },
    { creationTimestamp: null },
  );
  assert.deepEqual(validateObject(value).object, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "x", namespace: "default" },
    spec: { containers: [{ name: "a", image: "i" }] },
  });
});

test("an EndpointSlice whose endpoints are null has none, as API servers write it", () => {
  const { object: read } = validateObject(slice({ endpoints: null, ports: null }));
  assert.ok(read?.kind === "EndpointSlice");
  assert.deepEqual(read.endpoints, []);
});

test("validation does not change its argument", () => {
  const value = service({ selector: null });
  const before = structuredClone(value);
  validateObject(value);
  assert.deepEqual(value, before);
});

test("all problems of an object are reported, up to a bound that says so", () => {
  const issues = issuesOf(source({ ipBlocks: Array(500).fill("x") }));
  assert.equal(issues.length, 21);
  assert.match(issues.at(-1) ?? "", /there are more problems/);
});

test("kinds that nothing reads are named with their group, and a near miss with its right spelling", () => {
  const nameOf = (apiVersion: string, kind: string) =>
    validateObject(object(apiVersion, kind)).unknownKind;
  assert.deepEqual(nameOf("v1", "Secret"), { name: "kind Secret" });
  assert.deepEqual(nameOf("serving.knative.dev/v1", "Service"), {
    name: "kind Service of serving.knative.dev",
  });
  assert.deepEqual(nameOf("security.istio.io/v1", "AuthorisationPolicy"), {
    name: "kind AuthorisationPolicy of security.istio.io",
    hint: "did you mean AuthorizationPolicy?",
  });
  assert.deepEqual(nameOf("v1", "constructor"), { name: "kind constructor" });
});

test("a key __proto__ from any reader is refused and pollutes nothing", () => {
  const value: unknown = JSON.parse(
    '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"x","__proto__":{"uid":"u"}}}',
  );
  assert.match(issuesOf(value).join(), /__proto__ is not supported/);
});
