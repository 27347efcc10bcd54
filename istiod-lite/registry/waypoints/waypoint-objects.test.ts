import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ConfigMap, Deployment, Gateway, KubeService } from "#common/kubernetes/objects.ts";
import { absent, present, registryWith } from "../registry-fixtures.ts";
import { mergePatch } from "./merge-patch.ts";
import { makeGateway } from "./waypoint-fixtures.ts";
import { type WaypointObjects, waypointObjects } from "./waypoint-objects.ts";

const OPTIONS = { clusterId: "Kubernetes", trustDomain: "cluster.local", revision: "default" };

function parameters(data: ConfigMap["data"], more: Partial<ConfigMap["metadata"]> = {}): ConfigMap {
  const metadata = { name: "size", namespace: "shop", ...more };
  return { apiVersion: "v1", kind: "ConfigMap", metadata, ...(data && { data }) };
}

function made(result: WaypointObjects) {
  assert.ok("objects" in result, "problem" in result ? result.problem : "");
  const [account, deployment, service] = result.objects;
  return { account, deployment: deployment as Deployment, service: service as KubeService };
}

const withInfrastructure = (infrastructure: Gateway["spec"]["infrastructure"]): Gateway => {
  const gateway = makeGateway("waypoint", { labels: { own: "label" }, annotations: { own: "a" } });
  return { ...gateway, spec: { ...gateway.spec, ...(infrastructure && { infrastructure }) } };
};

describe("the objects of a waypoint", () => {
  it("are what Istio's are: named, labelled, owned and mounted so", () => {
    const { account, deployment, service } = made(waypointObjects(makeGateway(), [], OPTIONS));
    const names = [account, deployment, service].map((each) => each?.metadata.name);
    assert.deepEqual(names, ["waypoint", "waypoint", "waypoint"]);
    const owner = {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "Gateway",
      name: "waypoint",
    };
    assert.deepEqual(deployment.metadata.ownerReferences, [owner]);
    const { labels } = deployment.spec.template.metadata ?? {};
    assert.equal(labels?.["istio.io/dataplane-mode"], "none");
    assert.equal(labels?.["networking.istio.io/tunnel"], "http");
    assert.equal(labels?.["gateway.istio.io/managed"], "istio.io-mesh-controller");
    const [container] = deployment.spec.template.spec.containers;
    assert.deepEqual(
      container?.volumeMounts?.map(({ mountPath }) => mountPath),
      ["/var/run/secrets/tokens", "/var/run/secrets/istio"],
    );
    assert.deepEqual(service.spec.selector, deployment.spec.selector.matchLabels);
    assert.deepEqual(
      service.spec.ports?.map(({ port }) => port),
      [15_021, 15_008],
    );
  });

  it("carry what infrastructure says, else what the Gateway itself carries", () => {
    const own = made(waypointObjects(withInfrastructure(undefined), [], OPTIONS));
    assert.equal(own.service.metadata.labels?.own, "label");
    const infrastructure = { labels: { team: "a" }, annotations: { note: "n" } };
    const given = made(waypointObjects(withInfrastructure(infrastructure), [], OPTIONS));
    const { labels, annotations } = given.deployment.spec.template.metadata ?? {};
    assert.deepEqual([labels?.team, labels?.own], ["a", undefined]);
    assert.deepEqual([annotations?.note, annotations?.own], ["n", undefined]);
  });

  it("are named by the Gateway's annotations", () => {
    const annotations = {
      "gateway.istio.io/name-override": "wp",
      "gateway.istio.io/service-account": "own",
      "networking.istio.io/service-type": "NodePort",
    };
    const { account, deployment, service } = made(
      waypointObjects(makeGateway("waypoint", { annotations }), [], OPTIONS),
    );
    const names = [account, deployment, service].map((each) => each?.metadata.name);
    assert.deepEqual(names, ["own", "wp", "wp"]);
    assert.equal(deployment.spec.template.spec.serviceAccountName, "own");
    assert.equal(service.spec.type, "NodePort");
    assert.deepEqual(deployment.spec.template.metadata?.annotations?.["istio.io/rev"], "default");
  });

  it("take parameters in, the nearer ones over the class's", () => {
    const wide = parameters({
      deployment: "spec: {replicas: 3}",
      service: "spec: {type: NodePort}",
    });
    const container = "{name: istio-proxy, env: [{name: HTTP_ENGINE, value: undici}]}";
    const near = parameters({
      deployment: `spec: {replicas: 2, template: {spec: {containers: [${container}]}}}`,
      horizontalPodAutoscaler: "spec: {maxReplicas: 4}",
    });
    const { deployment, service } = made(waypointObjects(makeGateway(), [wide, near], OPTIONS));
    assert.equal(deployment.spec.replicas, 2);
    assert.equal(service.spec.type, "NodePort");
    const [own, ...others] = deployment.spec.template.spec.containers;
    assert.deepEqual(others, []);
    assert.equal(own?.image, "istio/proxyv2");
    assert.equal(own?.env?.find(({ name }) => name === "HTTP_ENGINE")?.value, "undici");
    assert.ok(own?.env?.some(({ name }) => name === "GATEWAY_NAME"));
  });

  for (const [what, data, problem] of [
    ["no YAML", { deployment: "spec: {replicas: [" }, /ConfigMap shop\/size, deployment: /],
    ["of a kind that is not made", { ingress: "{}" }, /known are serviceAccount, deployment/],
    [
      "not what the kind takes",
      { deployment: "spec: {replicas: many}" },
      /^deployment: spec\.repl/,
    ],
    ["two documents", { service: "a: b\n---\nc: d\n" }, /more than one document/],
  ] as const) {
    it(`are not made of parameters that are ${what}`, () => {
      const result = waypointObjects(makeGateway(), [parameters(data)], OPTIONS);
      assert.match("problem" in result ? result.problem : "", problem);
    });
  }
});

describe("what runs for a Gateway", () => {
  const reference = { group: "", kind: "ConfigMap", name: "size" };
  const gateway = withInfrastructure({ parametersRef: reference });
  const replicas = (update: ReturnType<ReturnType<typeof registryWith>["apply"]>) =>
    update.owned.map(({ owner, objects }) => {
      const deployment = objects.find(({ kind }) => kind === "Deployment") as
        | Deployment
        | undefined;
      return `${owner} ${deployment?.spec.replicas ?? objects.length}`;
    });

  it("follows its parameters, its class's defaults, and its deletion; else nothing is said", () => {
    const registry = registryWith(gateway);
    assert.deepEqual(replicas(registry.apply(present(gateway))), []);
    const two = parameters({ deployment: "spec: {replicas: 2}" });
    assert.deepEqual(replicas(registry.apply(present(two))), ["Gateway/shop/waypoint 2"]);
    assert.deepEqual(replicas(registry.apply(absent(two))), ["Gateway/shop/waypoint 3"]);
    const labels = { "gateway.istio.io/defaults-for-class": "istio-waypoint" };
    const defaults = parameters(
      { deployment: "spec: {replicas: 5}" },
      { namespace: "istio-system", labels },
    );
    assert.deepEqual(replicas(registry.apply(present(defaults))), ["Gateway/shop/waypoint 5"]);
    assert.deepEqual(replicas(registry.apply(absent(gateway))), ["Gateway/shop/waypoint 0"]);
  });

  it("stays as it was where its parameters are wrong, and the Gateway says why", () => {
    const registry = registryWith(gateway);
    const wrong = parameters({ deployment: "spec: {replicas: -1}" });
    const { owned, statuses } = registry.apply(present(wrong));
    assert.deepEqual(owned, []);
    const accepted = statuses[0]?.conditions.find(({ type }) => type === "Accepted");
    assert.deepEqual([accepted?.status, accepted?.reason], ["False", "InvalidParameters"]);
    assert.match(accepted?.message ?? "", /spec\.replicas/);
  });

  it("is withdrawn where the Gateway changes to a class of somebody else's", () => {
    const registry = registryWith(gateway);
    const other = { ...gateway, spec: { ...gateway.spec, gatewayClassName: "nginx" } };
    assert.deepEqual(replicas(registry.apply(present(other))), ["Gateway/shop/waypoint 0"]);
  });
});

describe("a merge patch", () => {
  it("merges maps, named lists by name, replaces others, and takes away by null", () => {
    const value = { a: 1, list: [{ name: "x", v: 1 }, { name: "y" }], plain: [1, 2] };
    const patch = { a: null, b: { c: null, d: 1 }, list: [{ name: "x", w: 2 }], plain: [3] };
    assert.deepEqual(mergePatch(value, patch), {
      b: { d: 1 },
      list: [{ name: "x", v: 1, w: 2 }, { name: "y" }],
      plain: [3],
    });
  });

  it("does not take __proto__ for more than a name", () => {
    const patch = JSON.parse('{"__proto__": {"polluted": true}}');
    mergePatch({}, patch);
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });
});
