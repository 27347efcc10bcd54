/**
 * istiod-lite on a real API server, two replicas of it, with exactly the permissions of
 * manifests/base: who writes, what is written, and who is believed.
 */
import assert from "node:assert/strict";
import { after, afterEach, describe, it } from "node:test";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE, type TypeUrl } from "#common/xds/type-urls.ts";
import { names } from "#istiod-lite/xds/ads-test-server.ts";
import type { KubernetesCluster } from "./harness/cluster.ts";
import { useKubernetes } from "./harness/use-kubernetes.ts";
import { waitFor } from "./harness/wait-for.ts";
import { prepareControlPlane, Replica } from "./mesh/replica.ts";

const cluster = useKubernetes({}, async (started) => {
  await prepareControlPlane(started);
  replicas = await Promise.all([Replica.start(started), Replica.start(started)]);
});
const ROOT = "istio-ca-root-cert";

let replicas: Replica[] = [];

async function leaderOf(all: readonly Replica[]): Promise<Replica> {
  return await waitFor("a replica to lead", async () => {
    const leads = await Promise.all(all.map((replica) => replica.leads()));
    assert.ok(leads.filter(Boolean).length < 2, "never two of them");
    return all[leads.indexOf(true)];
  });
}

afterEach(() => {
  for (const replica of replicas) assert.deepEqual(replica.denied, [], "RBAC allows all of it");
});
after(async () => {
  await Promise.all(replicas.map((replica) => replica.close()));
});

const jsonOf = async (kubernetes: KubernetesCluster, ...args: string[]) =>
  JSON.parse(await kubernetes.check(["get", ...args, "-o", "json"]));

describe("two replicas", () => {
  it("have one CA, one leader, and the root certificate in every namespace", async () => {
    await leaderOf(replicas);
    const [first] = replicas;
    assert.ok(first);
    for (const replica of replicas) assert.ok(await replica.isOfRoot(first.root));
    await waitFor("every namespace to have it", async () => {
      const { items } = await jsonOf(cluster(), "namespaces");
      const found = await jsonOf(
        cluster(),
        "configmaps",
        "-A",
        `--field-selector=metadata.name=${ROOT}`,
      );
      return found.items.length === items.length;
    });
    await cluster().check(["delete", "configmap", ROOT, "-n", "shop"]);
    await waitFor("it to be put back", () => jsonOf(cluster(), "configmap", ROOT, "-n", "shop"));
  });

  it("send a proxy that changes over nothing that it has", async () => {
    const [first, second] = replicas;
    assert.ok(first && second);
    await cluster().apply(service("web"), service("cart"), policy("p", ["GET"]));
    const hosts = ["web", "cart"].map((name) => `shop/${name}.shop.svc.cluster.local`);
    const tellsNothingNew = async (typeUrl: TypeUrl, wanted: readonly string[]) => {
      const hasAll = (all: ReadonlyMap<string, string>) => wanted.every((name) => all.has(name));
      const versions = await first.resources(typeUrl, hasAll);
      // Each of them hears of changes in its own time.
      await second.resources(typeUrl, hasAll);
      const stream = await second.connect();
      stream.send({ typeUrl, initialResourceVersions: versions });
      const answer = await stream.next(20_000);
      assert.deepEqual([names(answer), answer.removedResources], [[], []], typeUrl);
      stream.cancel();
    };
    await tellsNothingNew(ADDRESS_TYPE, hosts);
    await tellsNothingNew(AUTHORIZATION_TYPE, ["shop/p"]);
  });

  it("give a waypoint to a Gateway, say so, and take it away with it", async () => {
    await cluster().apply(GATEWAY);
    const deployment = await waitFor("its Deployment", () =>
      jsonOf(cluster(), "deployment", "waypoint", "-n", "shop"),
    );
    const { metadata } = await jsonOf(cluster(), "gateway", "waypoint", "-n", "shop");
    assert.equal(deployment.metadata.ownerReferences[0].uid, metadata.uid);
    await waitFor("its condition", async () => {
      const { status } = await jsonOf(cluster(), "gateway", "waypoint", "-n", "shop");
      return status?.conditions?.some(
        (each: { type: string; reason: string }) =>
          each.type === "Accepted" && each.reason === "Accepted",
      );
    });
    await cluster().check(["delete", "gateway", "waypoint", "-n", "shop"]);
    const left = ["get", "deploy,svc,sa", "-n", "shop", "-o", "name"];
    await waitFor("all of it to go", async () => {
      return !(await cluster().check(left)).includes("/waypoint");
    });
  });

  it("agree on a ServiceEntry's address, which is recorded and stays", async () => {
    const [first, second] = replicas;
    assert.ok(first && second);
    await cluster().apply(ENTRY);
    const status = await waitFor("its status", async () => {
      const found = await jsonOf(cluster(), "serviceentry", "api", "-n", "shop");
      return found.status?.addresses?.length > 0 && found.status;
    });
    assert.match(status.addresses[0].value, /^240\.240\./);
    const service = "shop/api.example.test";
    const versions = await Promise.all(
      replicas.map(async (replica) => {
        const all = await replica.resources(ADDRESS_TYPE, (known) => known.has(service));
        return all.get(service);
      }),
    );
    assert.equal(versions[0], versions[1]);
  });

  it("say of which generation of an object a condition is", async () => {
    for (const generation of [1, 2]) {
      await cluster().apply(policy("l7", ["GET", "POST"].slice(0, generation)));
      await waitFor(`a condition of generation ${generation}`, async () => {
        const found = await jsonOf(cluster(), "authorizationpolicy", "l7", "-n", "shop");
        assert.equal(found.metadata.generation, generation);
        const conditions: readonly { observedGeneration: number }[] =
          found.status?.conditions ?? [];
        const current = conditions.filter((each) => each.observedGeneration === generation);
        return conditions.length > 0 && current.length === conditions.length;
      });
    }
    const columns = await cluster().check(["get", "authorizationpolicy", "l7", "-n", "shop"]);
    assert.match(columns, /^l7 +(True|False) /m);
  });

  it("write nothing while nothing changes", async () => {
    const kinds = "authorizationpolicies,serviceentries,services,configmaps,events,gatewayclasses";
    const versions = async () => {
      const { items } = await jsonOf(cluster(), kinds, "-A");
      return items
        .map(({ kind, metadata }: { kind: string; metadata: Record<string, string> }) => {
          return `${kind}/${metadata.namespace}/${metadata.name} ${metadata.resourceVersion}`;
        })
        .sort();
    };
    // Two looks a while apart that find the same: a loop would never let that happen.
    await waitFor("the cluster to rest", async () => {
      const before = await versions();
      await new Promise((resolve) => setTimeout(resolve, 4_000));
      return JSON.stringify(before) === JSON.stringify(await versions());
    });
  });

  it("believe a token until its pod is gone, and the pods of a node only its ztunnel", async () => {
    const [replica] = replicas;
    assert.ok(replica);
    assert.equal(await replica.certificateFor("shop", "web"), "issued");
    assert.match(await replica.certificateFor("shop", "nobody"), /impersonation/);
    assert.match(await replica.certificateFor("shop", "web", "audience-of-others"), /authenticate/);
  });

  it("are led on by the other one when the leader goes", async () => {
    const leader = await leaderOf(replicas);
    const others = replicas.filter((replica) => replica !== leader);
    await leader.close();
    replicas = others;
    await leaderOf(others);
    await cluster().apply(policy("later", ["GET"]));
    await waitFor("its status", async () => {
      const { status } = await jsonOf(cluster(), "authorizationpolicy", "later", "-n", "shop");
      return status?.conditions?.length > 0;
    });
  });

  it("take the taint off a node whose ztunnel is ready", async () => {
    await cluster().check(["taint", "node", "n1", "cni.istio.io/not-ready=:NoSchedule"]);
    await waitFor("the taint to go", async () => {
      const { spec } = await jsonOf(cluster(), "node", "n1");
      return !JSON.stringify(spec.taints ?? []).includes("cni.istio.io");
    });
  });
});

function service(name: string): object {
  const spec = { selector: { app: name }, ports: [{ port: 80 }] };
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "shop" }, spec };
}

/** What ztunnel cannot enforce: its status says so. */
function policy(name: string, methods: readonly string[]): object {
  const apiVersion = "security.istio.io/v1";
  const spec = { rules: [{ to: [{ operation: { methods } }] }] };
  return { apiVersion, kind: "AuthorizationPolicy", metadata: { name, namespace: "shop" }, spec };
}

const GATEWAY = {
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: { name: "waypoint", namespace: "shop" },
  spec: {
    gatewayClassName: "istio-waypoint",
    listeners: [{ name: "mesh", port: 15_008, protocol: "HBONE" }],
  },
};

const ENTRY = {
  apiVersion: "networking.istio.io/v1",
  kind: "ServiceEntry",
  metadata: { name: "api", namespace: "shop" },
  spec: {
    hosts: ["api.example.test"],
    ports: [{ number: 443, name: "tls", protocol: "TLS" }],
    resolution: "DNS",
  },
};
