import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ObjectMeta } from "#common/kubernetes/objects.ts";
import { type Binding, bind, type Subject } from "./binding.ts";
import type { TrafficType, Waypoint } from "./waypoint-facts.ts";

type Metadata = Pick<ObjectMeta, "labels" | "annotations">;

const USE = "istio.io/use-waypoint";
const IN = "istio.io/use-waypoint-namespace";
const OPEN = { "ambient.istio.io/waypoint-unavailable": "fail-open" };

function waypoint(name: string, { namespace = "shop", ...more }: Partial<Waypoint> = {}): Waypoint {
  const hostname = `${name}.${namespace}.svc.cluster.local`;
  return {
    namespace,
    name,
    className: "istio-waypoint",
    managed: true,
    trafficType: "service",
    address: { kind: "hostname", name: { namespace, hostname }, hboneMtlsPort: 15_008 },
    notProgrammed: undefined,
    allowed: {},
    identities: [`${namespace}/${name}`],
    ...more,
  };
}

const NOT_READY = { reason: "Pending", message: "none of its 1 pods is ready" } as const;
const WAYPOINTS = [
  waypoint("ready"),
  waypoint("canary"),
  waypoint("starting", { notProgrammed: NOT_READY }),
  waypoint("private", { namespace: "infra" }),
  waypoint("open", { namespace: "infra", allowed: { from: "All" } }),
  waypoint("nobody", { allowed: { from: "None" } }),
  waypoint("chosen", {
    namespace: "infra",
    allowed: { from: "Selector", selector: { matchLabels: { team: "a" } } },
  }),
  waypoint("by-name", {
    namespace: "infra",
    allowed: {
      from: "Selector",
      selector: {
        matchExpressions: [
          { key: "kubernetes.io/metadata.name", operator: "In", values: ["shop"] },
        ],
      },
    },
  }),
  ...(["workload", "all", "none"] as const).map((trafficType: TrafficType) =>
    waypoint(trafficType, { trafficType }),
  ),
  waypoint("starting-workload", { trafficType: "workload", notProgrammed: NOT_READY }),
];

function decide(
  object: Metadata,
  namespace: Metadata = {},
  traffic: Subject["traffic"] = "service",
): Binding {
  const subject = { traffic, metadata: { name: "web", namespace: "shop", ...object } };
  return bind(subject, {
    waypoint: (key) => WAYPOINTS.find((each) => `${each.namespace}/${each.name}` === key),
    namespace: { metadata: { name: "shop", ...namespace } },
    clusterDomain: "cluster.local",
    unavailable: "fail-closed",
    enforce: false,
  });
}

/** The outcome in one line: where traffic goes, and what the condition says. */
function outcome(binding: Binding): string {
  const { waypoint: address, condition } = binding;
  const to = address?.kind === "hostname" ? address.name.hostname.split(".")[0] : "-";
  const refused = address?.kind === "hostname" && address.name.hostname.endsWith(".invalid");
  return `${refused ? "nowhere" : to} ${condition?.reason ?? "-"}`;
}

const label = (name: string, namespace?: string): Metadata => ({
  labels: { [USE]: name, ...(namespace === undefined ? {} : { [IN]: namespace }) },
});

const TABLE: readonly [string, string, Metadata, Metadata?, Subject["traffic"]?][] = [
  ["nothing is asked for", "- -", {}],
  ["the object's label", "ready WaypointAccepted", label("ready")],
  ["the namespace's label", "ready WaypointAccepted", {}, label("ready")],
  ["the object beats its namespace", "all WaypointAccepted", label("all"), label("ready")],
  ["none on the object opts out", "- -", label("none"), label("ready")],
  ["none on the namespace", "- -", {}, label("none")],
  ["an empty label is none", "ready WaypointAccepted", label(""), label("ready")],
  ["another namespace's, not allowed", "nowhere AttachmentDenied", label("private", "infra")],
  ["another namespace's, for all", "open WaypointAccepted", label("open", "infra")],
  ["the namespace's own place counts", "open WaypointAccepted", {}, label("open", "infra")],
  ["a listener for nobody", "nowhere AttachmentDenied", label("nobody")],
  ["a selector that does not select", "nowhere AttachmentDenied", label("chosen", "infra")],
  [
    "a selector that does",
    "chosen WaypointAccepted",
    label("chosen", "infra"),
    { labels: { team: "a" } },
  ],
  ["a selector by name", "by-name WaypointAccepted", label("by-name", "infra")],
  ["for workloads only", "- UnsupportedTrafficType", label("workload")],
  ["a service's, asked by a pod", "- UnsupportedTrafficType", label("ready"), {}, "workload"],
  ["a pod's", "workload WaypointAccepted", label("workload"), {}, "workload"],
  ["for all, asked by a pod", "all WaypointAccepted", {}, label("all"), "workload"],
  ["not ready", "starting WaypointIsNotReady", label("starting")],
  ["not there", "gone WaypointIsNotReady", label("gone")],
  ["not there, and not in this namespace", "gone WaypointIsNotReady", label("gone", "infra")],
  ["not there, of a pod's own", "gone WaypointIsNotReady", label("gone"), {}, "workload"],
  ["not there, of a pod's namespace", "- -", {}, label("gone"), "workload"],
  ["not ready and for others", "- UnsupportedTrafficType", {}, label("starting-workload")],
  ["fail-open, not ready", "- WaypointIsNotReady", { ...label("starting"), annotations: OPEN }],
  ["fail-open by the namespace", "- WaypointIsNotReady", label("gone"), { annotations: OPEN }],
  ["fail-open, denied", "- AttachmentDenied", { ...label("private", "infra"), annotations: OPEN }],
  [
    "a word that is neither",
    "starting WaypointIsNotReady",
    { ...label("starting"), annotations: { "ambient.istio.io/waypoint-unavailable": "open" } },
  ],
];

describe("the waypoint of an object", () => {
  for (const [what, expected, object, namespace, traffic] of TABLE) {
    it(`${what}: ${expected}`, () => {
      assert.equal(outcome(decide(object, namespace, traffic)), expected);
    });
  }

  it("says in its condition what becomes of traffic meanwhile", () => {
    const closed = decide(label("starting")).condition;
    assert.equal(closed?.status, "False");
    assert.match(closed?.message ?? "", /^waypoint "shop\/starting" is not ready: none of its 1/);
    assert.match(closed?.message ?? "", /refused until it is \(fail-closed\)$/);
    const open = decide({ ...label("gone"), annotations: OPEN });
    assert.match(open.condition?.message ?? "", /go past it until it is \(fail-open\)$/);
    assert.equal(open.unavailable, "fail-open");
  });

  it("is told of the object before it is ready, but not where it does not want it", () => {
    assert.deepEqual(decide(label("starting")).serving, ["shop/starting"]);
    assert.deepEqual(decide(label("nobody")).serving, []);
    assert.deepEqual(decide(label("nobody")).named, ["shop/nobody"]);
  });

  it("takes ingress traffic where a label of the object or its namespace says so", () => {
    const ingress = { "istio.io/ingress-use-waypoint": "true" };
    const own = decide({ labels: { [USE]: "ready", ...ingress } });
    assert.equal(own.ingressUseWaypoint, true);
    assert.match(own.condition?.message ?? "", /Ingress traffic will traverse the waypoint$/);
    assert.equal(decide(label("ready"), { labels: ingress }).ingressUseWaypoint, true);
    assert.equal(decide(label("ready")).ingressUseWaypoint, false);
  });

  it("is enforced where an annotation says so, and only where its traffic passes one", () => {
    const annotations = { "ambient.istio.io/enforce-waypoint": "true" };
    assert.equal(decide({ ...label("ready"), annotations }).enforced, true);
    assert.equal(decide(label("ready"), { annotations }).enforced, true);
    assert.equal(decide({ annotations }).enforced, false);
    assert.equal(decide({ ...label("workload"), annotations }).enforced, false);
    assert.equal(decide({ ...label("gone"), annotations }).enforced, true);
  });
});

describe("a canary waypoint", () => {
  const canary = (weight?: string, name = "canary"): Metadata => ({
    labels: { [USE]: "ready", "istio.io/use-waypoint-canary": name },
    ...(weight !== undefined && {
      annotations: { "istio.io/use-waypoint-canary-weight": weight },
    }),
  });
  const shares = (binding: Binding) =>
    binding.weighted.map(({ destination, weight }) => {
      const name = destination.kind === "hostname" ? destination.name.hostname : "";
      return `${name.split(".")[0]} ${weight}`;
    });

  it("gets its share, the primary the rest", () => {
    const binding = decide(canary("20"));
    assert.deepEqual(shares(binding), ["ready 80", "canary 20"]);
    assert.deepEqual(binding.serving, ["shop/ready", "shop/canary"]);
    assert.equal(outcome(binding), "ready WaypointAccepted");
  });

  it("without a weight is told of the service and gets nothing", () => {
    assert.deepEqual(shares(decide(canary())), []);
    assert.deepEqual(decide(canary()).serving, ["shop/ready", "shop/canary"]);
    assert.deepEqual(shares(decide(canary("100"))), ["canary 100"]);
  });

  for (const [what, reason, object] of [
    ["a weight that is none", "CanaryInvalidWeight", canary("12.5")],
    ["a weight beyond 100", "CanaryInvalidWeight", canary("101")],
    ["the primary itself", "CanarySameAsPrimary", canary("10", "ready")],
    ["one that is not ready", "WaypointIsNotReady", canary("10", "starting")],
    ["one that is not there", "WaypointIsNotReady", canary("10", "gone")],
    ["one for workloads", "UnsupportedTrafficType", canary("10", "workload")],
    ["one that denies it", "AttachmentDenied", canary("10", "nobody")],
  ] as const) {
    it(`that is ${what} leaves all to the primary, and the condition says why`, () => {
      const binding = decide(object);
      assert.equal(outcome(binding), `ready ${reason}`);
      assert.deepEqual(shares(binding), []);
    });
  }
});
