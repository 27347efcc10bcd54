/** What people write: Kubernetes YAML, policies in it, the state of a mesh in a file, variables. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { stringify } from "yaml";
import { compilePolicies, evaluate } from "#common/authorization/evaluate.ts";
import { formatProblem } from "#common/kubernetes/format-problem.ts";
import { loadText } from "#common/kubernetes/load-text.ts";
import { anyObject } from "#common/kubernetes/object-arbitraries.ts";
import type { AuthorizationPolicy } from "#common/kubernetes/objects.ts";
import type { Connection } from "#common/model/connection.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { parseIp } from "#common/model/ip.ts";
import { convertAuthorizationPolicy } from "#istiod-lite/registry/policies/index.ts";
import { naiveAdmits } from "#istiod-lite/registry/policies/oracle.ts";
import { loadConfig } from "#ztunnel/config.ts";
import { parseLocalXds } from "#ztunnel/local-xds/load-local-xds.ts";
import { type FuzzTarget, readOrRefusal } from "../fuzz-target.ts";
import { BOMBS, LOCAL_STATE, POLICIES } from "./configuration-corpus.ts";
import { policyYaml } from "./policy-arbitraries.ts";

const YAML_WORDS = [
  ...[": ", "- ", "\n", "\n  ", "&a ", "*a", "<<: *a", "{", "}", "[", "]", "---\n", "...\n", "? "],
  ...[
    "|\n",
    ">-\n",
    '"',
    "'",
    "\\x00",
    "!!binary ",
    "!!set ",
    "!t ",
    "%YAML 1.1\n",
    "#",
    "\t",
    "~",
  ],
  ...[
    "yes",
    "1e999",
    "0o17",
    ".inf",
    "2020-01-01",
    "__proto__: ",
    "constructor: ",
    "null",
    "\ufeff",
  ],
];

const MAX_YAML_BYTES = 8 * 1024;

export const yaml: FuzzTarget = {
  name: "yaml",
  corpus: [...BOMBS, POLICIES].map((text) => Buffer.from(text)),
  words: YAML_WORDS,
  generated: fc
    .tuple(fc.array(anyObject, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([objects, json]) =>
      Buffer.from(
        json
          ? objects.map((object) => JSON.stringify(object)).join("\n---\n")
          : objects.map((object) => stringify(object)).join("---\n"),
      ),
    ),
  maxBytes: MAX_YAML_BYTES,
  check: (input) => {
    const text = input.toString();
    const { objects, problems } = loadText(text, "f.yaml");
    const lines = text.split("\n").length;
    for (const problem of problems) {
      assert.ok(problem.line >= 1 && problem.line <= lines && problem.column >= 1);
      assert.match(formatProblem(problem), /^f\.yaml:\d+:\d+: (error|warning): .+$/);
    }
    for (const { object } of objects) {
      const again = loadText(JSON.stringify(object), "g.json");
      assert.deepEqual(
        again.problems.filter(({ severity }) => severity === "error"),
        [],
      );
      assert.deepEqual(
        again.objects.map((one) => one.object),
        [object],
      );
      assert.equal(Object.getPrototypeOf(object), Object.prototype);
    }
    const [first] = problems;
    const complaint = first?.message.replace(/\d+/g, "_").slice(0, 40);
    return `${objects.map(({ object }) => object.kind).join()} ${complaint}`;
  },
};

const PEERS = [
  undefined,
  makeIdentity("cluster.local", "web", "front"),
  makeIdentity("cluster.local", "shop", "cart"),
];
const IPS = ["10.0.0.1", "10.0.1.1", "2001:db8::1"].flatMap((text) => parseIp(text) ?? []);
const CONNECTIONS: readonly Connection[] = PEERS.flatMap((peer) =>
  IPS.flatMap((sourceIp) =>
    [80, 8080].map((destinationPort) => ({
      sourceIp,
      destinationIp: IPS[0] ?? sourceIp,
      destinationPort,
      destinationNetwork: "",
      ...(peer && { sourceIdentity: peer }),
    })),
  ),
);

/** From YAML to verdicts, held against a naive reading of the same objects. */
export const policies: FuzzTarget = {
  name: "policies",
  corpus: POLICIES.split("---\n").map((text) => Buffer.from(text)),
  words: [
    ...[
      "from",
      "to",
      "when",
      "source",
      "operation",
      "namespaces",
      "principals",
      "ipBlocks",
      "ports",
    ],
    ...["not", "notPorts: ", "values: ", "*", "ALLOW", "DENY", '["*"]', "[]", "{}", "10.0.0.0/8"],
    ...["methods: [GET]", "serviceAccounts: [shop/cart]", "- ", "\n", "  ", "hosts: [a]", "::/0"],
  ],
  generated: policyYaml,
  maxBytes: 4_096,
  check: (input) => {
    const found = loadText(input.toString(), "f.yaml").objects.flatMap(({ object }) =>
      object.kind === "AuthorizationPolicy" ? [object] : [],
    );
    const enforced = found.filter(isEnforced);
    const converted = enforced.flatMap((policy, i) => {
      const { authorization, issues } = convertAuthorizationPolicy(policy, {
        rootNamespace: "istio-system",
      });
      return authorization === undefined ? [] : [{ i, issues, authorization, policy }];
    });
    const compiled = compilePolicies(
      converted.map(({ authorization, i }) => ({ ...authorization, name: `p${i}` })),
    );
    const clean = converted.every(({ issues }) => issues.length === 0);
    for (const connection of CONNECTIONS) {
      const { allowed } = evaluate(connection, compiled);
      const naive = naiveAdmits(
        connection,
        converted.map(({ policy }) => policy),
      );
      assert.ok(!allowed || naive, "wider than it reads");
      if (clean) assert.equal(allowed, naive, "not as it reads");
    }
    return (
      converted.map(({ issues }) => `${issues[0]?.cause} ${issues[0]?.effect}`).join() || "none"
    );
  },
};

function isEnforced({ spec, metadata }: AuthorizationPolicy): boolean {
  const dryRun = metadata.annotations?.["istio.io/dry-run"];
  return ["ALLOW", "DENY"].includes(spec?.action ?? "ALLOW") && dryRun === undefined;
}

export const localXds: FuzzTarget = {
  name: "local-xds",
  corpus: [...BOMBS, LOCAL_STATE].map((text) => Buffer.from(text)),
  words: [...YAML_WORDS, "!Exact ", "!Presence []", "workloads:", "services:", "policies:"],
  maxBytes: MAX_YAML_BYTES,
  check: (input) => {
    const read = readOrRefusal(() => parseLocalXds(input.toString(), { trustDomain: "t" }));
    if ("refusal" in read) return read.refusal;
    const { addresses, policies: found } = read.value;
    return `${addresses.length} ${found.length}`;
  },
};

const VARIABLES = [
  ...["XDS_ADDRESS", "CA_ADDRESS", "XDS_ROOT_CA", "AUTH_TOKEN", "LOCAL_XDS_PATH", "LOCAL_XDS"],
  ...["ISTIO_META_CLUSTER_ID", "NETWORK", "INSTANCE_IP", "ZTUNNEL_WORKER_THREADS", "PROXY_MODE"],
  ...["CONNECTION_TERMINATION_DEADLINE", "TERMINATION_GRACE_PERIOD_SECONDS", "SECRET_TTL"],
  ...["ENABLE_ORIG_SRC", "INPOD_UDS", "RUST_LOG", "LOG_LEVEL", "LOG_FORMAT", "ADMIN_PORT"],
  ...[
    "STATS_PORT",
    "READINESS_FD",
    "PROXY_CONFIG",
    "XDS_HEADER_A",
    "CLUSTER_DOMAIN",
    "IPV6_ENABLED",
  ],
];

/** One variable a line. */
export const environment: FuzzTarget = {
  name: "environment",
  corpus: [
    Buffer.from("XDS_ADDRESS=https://istiod:15012\nSECRET_TTL=24h0m0s\nRUST_LOG=info,xds=debug\n"),
    Buffer.from("PROXY_CONFIG={concurrency: 2, proxyMetadata: {DNS_CAPTURE: 'false'}}\n"),
    Buffer.from("XDS_HEADER_X_FOO=bar\nINSTANCE_IP=10.0.0.1\nZTUNNEL_WORKER_THREADS=50%\n"),
  ],
  words: [
    ...VARIABLES.map((name) => `\n${name}=`),
    ...["true", "5s", "1h", "-1", "99999999999", "://", "%", "50%", "\0", ",", "=", "&a [*a]"],
  ],
  maxBytes: 4_096,
  check: (input) => {
    const lines = input.toString().split("\n");
    const pairs = lines.map((line) => [line.split("=", 1)[0] ?? "", line.replace(/^[^=]*=?/, "")]);
    const env = { NODE_NAME: "n", ...Object.fromEntries(pairs) };
    const read = readOrRefusal(() => loadConfig(env, 4));
    if ("refusal" in read) return read.refusal;
    const { workerThreads, drainDeadlineMs, certificateTtlSeconds, adminPort } = read.value;
    for (const number of [workerThreads, drainDeadlineMs, certificateTtlSeconds, adminPort]) {
      assert.ok(Number.isFinite(number) && number >= 0, `${number}`);
    }
    assert.ok(workerThreads >= 1 && Number.isInteger(workerThreads));
    return `config with ${read.value.warnings.length} warnings`;
  },
};
