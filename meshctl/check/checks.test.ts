/** What checks make of what a cluster says. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { HttpKubeClient } from "#common/kube-client/http-kube-client.ts";
import { KubeApiError } from "#common/kube-client/kube-client.ts";
import type { Gateway, Namespace, Pod } from "#common/kubernetes/objects.ts";
import { KubernetesCluster } from "#meshctl/cluster-access/kubernetes-cluster.ts";
import { cniFacts, nodeFacts, otherMeshes, podSecurity, serverVersion } from "./cluster-facts.ts";
import { enrolledPods } from "./enrolment.ts";
import { rootCertificates, waypoints, webhook, workloadCertificates } from "./health.ts";
import { installedChecks } from "./installed-checks.ts";
import { formatFinding, summary } from "./outcome.ts";
import { preChecks } from "./pre-checks.ts";
import { type Check, runChecks } from "./run-checks.ts";

const NOBODY = {} as HttpKubeClient;

test("every check has its heading in the page that it names", () => {
  const page = join(import.meta.dirname, "..", "..", "docs", "troubleshooting.md");
  const headings = readFileSync(page, "utf8").split("\n");
  const all = [
    ...preChecks(NOBODY, []),
    ...installedChecks(NOBODY, new KubernetesCluster(NOBODY, "default")),
  ];
  const ids = all.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.ok(headings.includes(`## ${id}`), id);
  const known = headings.filter((line) => line.startsWith("## check-"));
  assert.deepEqual(known.toSorted(), ids.map((id) => `## ${id}`).toSorted());
});

test("a finding says where to read on, and a script can tell good from bad", () => {
  const finding = {
    id: "check-x",
    description: "x is well",
    status: "failed",
    details: ["it is not"],
  };
  assert.equal(
    formatFinding(finding as Parameters<typeof formatFinding>[0]),
    "× x is well\n    it is not\n    see docs/troubleshooting.md#check-x\n",
  );
  const good = { ...finding, status: "ok", details: [] } as const;
  assert.deepEqual(summary([good]), { good: true, text: "1 checks, all good" });
  const bad = { ...finding, status: "failed" } as const;
  assert.deepEqual(summary([good, bad]), { good: false, text: "2 checks: 1 failed" });
});

test("a fatal check ends the round; what may not be seen is unknown", async () => {
  const refused = new KubeApiError("no", { status: 403, reason: "Forbidden" });
  const check = (id: string, run: Check["run"], fatal = false): Check => {
    return { id, description: id, fatal, run };
  };
  const seen: string[] = [];
  const checks = [
    check("hidden", () => Promise.reject(refused)),
    check("broken", () => Promise.reject(new Error("gone"))),
    check("fatal", async () => ({ status: "failed", details: [] }), true),
    check("never", async () => ({ status: "ok", details: [] })),
  ];
  for await (const { id, status } of runChecks(checks)) seen.push(`${id} ${status}`);
  assert.deepEqual(seen, ["hidden unknown", "broken failed", "fatal failed"]);
});

describe("before an installation", () => {
  const version = (minor: string) =>
    serverVersion({ major: "1", minor, gitVersion: `v1.${minor}` });

  test("a server is new enough, or is not", () => {
    assert.equal(version("36").status, "ok");
    assert.equal(version("36+").status, "ok");
    assert.equal(version("30").status, "warning");
    assert.equal(version("29").status, "failed");
  });

  test("a node needs a kernel that can and an image that fits", () => {
    const node = (kernelVersion: string, architecture = "amd64") => ({
      metadata: { name: kernelVersion },
      status: { nodeInfo: { kernelVersion, architecture, operatingSystem: "linux" } },
    });
    assert.equal(
      nodeFacts([node("6.1.0-13-cloud"), node("5.15.0-1034-aws", "arm64")]).status,
      "ok",
    );
    assert.deepEqual(nodeFacts([node("4.18.0-553.el8"), node("6.1", "s390x")]).details, [
      "4.18.0-553.el8: Linux 4.18.0-553.el8; 5.2 is needed",
      "6.1: no image for s390x",
    ]);
  });

  test("Cilium's own ways are seen", () => {
    assert.equal(cniFacts(undefined).status, "ok");
    assert.equal(cniFacts({ data: { "cni-exclusive": "false" } }).status, "ok");
    assert.equal(
      cniFacts({ data: { "cni-exclusive": "true", "bpf-lb-sock": "true" } }).details.length,
      2,
    );
  });

  test("a namespace that enforces a profile lets no ztunnel start", () => {
    const labels = { "pod-security.kubernetes.io/enforce": "baseline" };
    assert.equal(podSecurity({ metadata: { name: "istio-system", labels } }).status, "failed");
    assert.equal(podSecurity(undefined).status, "ok");
  });

  test("another mesh is named, ours is not", () => {
    const program = (name: string, ours: boolean) => ({ metadata: { name, namespace: "x", ours } });
    const outcome = otherMeshes({
      programs: [program("istiod", true), program("istio-cni-node", false), program("web", false)],
      injectors: [{ metadata: { name: "istio-sidecar-injector" } }],
      isOurs: ({ metadata }) => (metadata as { ours: boolean }).ours,
    });
    assert.deepEqual(outcome.details, [
      "Istio's CNI agent: x/istio-cni-node",
      "sidecars: webhook istio-sidecar-injector",
    ]);
  });
});

describe("of an installation", () => {
  test("enrolled are running pods of labelled namespaces, and by their own label", () => {
    const labels = { "istio.io/dataplane-mode": "ambient" };
    const none = { "istio.io/dataplane-mode": "none" };
    const pod = (name: string, namespace: string, own = {}, spec = {}, phase = "Running") =>
      ({ metadata: { name, namespace, labels: own }, spec, status: { phase } }) as unknown as Pod;
    const namespaces = [
      { metadata: { name: "in", labels } },
      { metadata: { name: "out" } },
    ] as unknown as readonly Namespace[];
    const pods = [
      pod("a", "in"),
      pod("b", "in", none),
      pod("c", "out", labels),
      pod("d", "out"),
      pod("e", "in", {}, { hostNetwork: true }),
      pod("f", "in", {}, {}, "Succeeded"),
    ];
    const names = enrolledPods(pods, namespaces).map(({ metadata }) => metadata.name);
    assert.deepEqual(names, ["a", "c"]);
  });

  test("a webhook needs who answers, and a CA that is trusted", () => {
    const made = (caBundle?: string) => ({ webhooks: [{ name: "w", clientConfig: { caBundle } }] });
    assert.equal(webhook(made("abc"), 1).status, "ok");
    assert.equal(webhook(made(), 1).status, "failed");
    assert.equal(webhook(made("abc"), 0).status, "failed");
    assert.equal(webhook(undefined, 1).status, "failed");
  });

  test("certificates that end are seen before they do", () => {
    const now = Date.parse("2026-11-21T00:00:00Z");
    const day = 86_400_000;
    assert.equal(rootCertificates([now + 300 * day], now).status, "ok");
    assert.equal(rootCertificates([now + 300 * day, now + 10 * day], now).status, "warning");
    assert.equal(rootCertificates([now - day], now).status, "failed");
    assert.equal(rootCertificates([], now).status, "failed");
    const chain = (expirationTime: string) => [{ expirationTime }];
    const lines = workloadCertificates(
      [
        { identity: "a", state: "Available", certChain: chain("2026-11-22T00:00:00Z") },
        { identity: "b", state: "Unavailable", certChain: [] },
        { identity: "c", state: "Available", certChain: chain("2026-11-20T00:00:00Z") },
      ],
      now,
    );
    assert.deepEqual(lines, ["b: Unavailable", "c: its certificate ended 2026-11-20T00:00:00Z"]);
  });

  test("a waypoint is programmed, and is there for who names it", () => {
    const gateway = (name: string, status: string) =>
      ({
        kind: "Gateway",
        metadata: { name, namespace: "shop" },
        spec: { gatewayClassName: "istio-waypoint" },
        status: { conditions: [{ type: "Programmed", status, message: "no pod is ready" }] },
      }) as unknown as Gateway;
    const user = (waypoint: string, more = {}) =>
      ({
        kind: "Namespace",
        metadata: { name: "shop", labels: { "istio.io/use-waypoint": waypoint, ...more } },
      }) as unknown as Namespace;
    const gateways = [gateway("good", "True"), gateway("idle", "False")];
    const users = [
      user("good"),
      user("none"),
      user("gone"),
      user("good", {
        "istio.io/use-waypoint-namespace": "other",
      }),
    ];
    assert.deepEqual(waypoints(gateways, users).details, [
      "shop/idle is not programmed: no pod is ready",
      "Namespace shop uses waypoint shop/gone, which is not there",
      "Namespace shop uses waypoint other/good, which is not there",
    ]);
  });
});
