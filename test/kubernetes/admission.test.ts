/**
 * `kubectl apply` of right and wrong objects, with the webhook of manifests/base and an istiod-lite
 * that answers it; and what becomes of the webhook when istiod-lite, its CA or its registration
 * goes.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { AUTHORIZATION_TYPE } from "#common/xds/type-urls.ts";
import { makeRoot } from "#istiod-lite/ca/certificate-authority.ts";
import { ROOT } from "../house/tree.ts";
import type { KubernetesCluster } from "./harness/cluster.ts";
import { useKubernetes } from "./harness/use-kubernetes.ts";
import { waitFor } from "./harness/wait-for.ts";
import { ALLOWED, authorizationPolicy, REFUSED } from "./mesh/admission-cases.ts";
import { prepareControlPlane, Replica } from "./mesh/replica.ts";

const WEBHOOK = ["validatingwebhookconfiguration", "istio-validator-istio-system"];
const wrong = (name: string) =>
  authorizationPolicy(name, { rules: [{ from: [{ source: { ipBlocks: ["10.0.0.0/33"] } }] }] });

let replica: Replica;
const cluster = useKubernetes({}, async (started) => {
  await prepareControlPlane(started);
  await started.check(["apply", "-f", join(ROOT, "manifests/base/istiod/webhook.yaml")]);
  await started.apply(SERVICE, WEB);
  await serve(started);
});
after(() => replica?.close());

/** Resolves when the API server asks this istiod-lite. */
async function serve(started: KubernetesCluster): Promise<void> {
  replica = await Replica.start(started);
  await started.apply(endpoint(started.hostAddress, replica.webhookPort));
  await waitFor("the webhook", async () => !(await letsInWrong(started)));
}

/** Whether the API server would take a wrong object; nothing is stored. */
async function letsInWrong(started: KubernetesCluster): Promise<boolean> {
  const args = ["apply", "--dry-run=server", "-f", "-"];
  return (await started.run(args, { stdin: JSON.stringify(wrong("probe")) })).code === 0;
}

async function caBundle(): Promise<string> {
  const path = "jsonpath={.webhooks[0].clientConfig.caBundle}";
  const text = await cluster().check(["get", ...WEBHOOK, "-o", path]);
  return Buffer.from(text, "base64").toString();
}

describe("kubectl apply is refused, with field and reason,", () => {
  for (const { title, object, field, reason } of REFUSED) {
    test(title, async () => {
      const args = ["apply", "-f", "-"];
      const { code, stderr } = await cluster().run(args, { stdin: JSON.stringify(object) });
      assert.notEqual(code, 0, "it was let in");
      assert.match(stderr, field);
      assert.match(stderr, reason);
    });
  }
});

describe("kubectl apply is let in with", () => {
  for (const { title, object, warning } of ALLOWED) {
    test(title, async () => {
      const args = ["apply", "-f", "-"];
      const { code, stderr } = await cluster().run(args, { stdin: JSON.stringify(object) });
      assert.equal(code, 0, stderr);
      if (warning === undefined) assert.equal(stderr, "");
      else assert.match(stderr, warning);
    });
  }
});

describe("the webhook", () => {
  test("gets its CA back when somebody takes it away", async () => {
    const before = await caBundle();
    assert.match(before, /BEGIN CERTIFICATE/);
    const emptied = [0, 1].map((index) => ({
      op: "remove",
      path: `/webhooks/${index}/clientConfig/caBundle`,
    }));
    const patch = ["patch", ...WEBHOOK, "--type=json", "-p", JSON.stringify(emptied)];
    // What the patch left: the next look may find it mended.
    const left = await cluster().check([...patch, "-o", "jsonpath={..caBundle}"]);
    assert.equal(left, "");
    await waitFor("the CA", async () => (await caBundle()) === before);
    await waitFor("a refusal", async () => !(await letsInWrong(cluster())));
  });

  test("has another certificate, which the API server believes, when another CA is in force", async () => {
    const port = replica.webhookPort;
    assert.ok(await replica.isOfRoot(replica.root, port));
    const { certPem, keyPem } = makeRoot("cluster.local", Date.now());
    await cluster().apply({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "cacerts", namespace: "istio-system" },
      stringData: {
        "ca-cert.pem": certPem,
        "ca-key.pem": keyPem,
        "root-cert.pem": certPem,
        "cert-chain.pem": certPem,
      },
    });
    await waitFor("another certificate", () => replica.isOfRoot(certPem, port));
    await waitFor("the API server to know", async () => (await caBundle()).includes(certPem));
    await waitFor("a refusal", async () => !(await letsInWrong(cluster())));
  });

  test("lets objects in while nobody answers, and what is wrong is told and closed afterwards", async () => {
    await replica.close();
    await cluster().apply(wrong("stored"));
    await serve(cluster());
    const about = "--field-selector=involvedObject.name=stored";
    await waitFor("an Event that says what is wrong", async () => {
      const args = ["get", "events", "-n", "shop", about, "-o", "jsonpath={..message}"];
      return (await cluster().check(args)).includes("10.0.0.0/33");
    });
    const known = await replica.resources(AUTHORIZATION_TYPE, (all) => all.has("shop/stored"));
    assert.ok(known.size > 0);
  });
});

const SERVICE = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "istiod", namespace: "istio-system" },
  spec: { ports: [{ name: "https-webhook", port: 443 }] },
};

const WEB = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "shop" },
  spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80 }] },
};

/** Where that Service is served: outside the cluster, by this process. */
function endpoint(address: string, port: number): object {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: "istiod-test",
      namespace: "istio-system",
      labels: { "kubernetes.io/service-name": "istiod" },
    },
    addressType: "IPv4",
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: "https-webhook", port, protocol: "TCP" }],
  };
}
