/** AuthorizationPolicy and PeerAuthentication: nothing that could be misread passes. */
import {
  object,
  peer,
  policy,
  source,
  testFine,
  testWrong,
  when,
} from "#common/kubernetes/validate/validation-fixtures.ts";

testFine([
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
]);

testWrong([
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
    [/^error spec\.rules\[0\]\.from\[0\]\.source\.ports: is an unknown field \(known here: pr/],
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
  [
    "a condition with a pattern for a service account",
    when({ key: "source.serviceAccount", values: ["web*"] }),
    [/values\[0\]: "web\*" is no service account/],
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
]);
