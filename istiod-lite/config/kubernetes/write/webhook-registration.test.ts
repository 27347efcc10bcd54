import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createLogger } from "#common/telemetry/logger.ts";
import { TestLeadership } from "#istiod-lite/config/kubernetes/leader/leader-fixture.ts";
import { WebhookRegistration } from "./webhook-registration.ts";
import { WritableServerFixture } from "./writable-server-fixture.ts";

const NAME = "istio-validator-istio-system";
const PATH = `/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/${NAME}`;
const service = { name: "istiod", namespace: "istio-system" };

/** As the manifests bring it. */
const CONFIGURATION = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "ValidatingWebhookConfiguration",
  metadata: { name: NAME },
  webhooks: [{ name: "validation.ambientmesh.dev", clientConfig: { service } }],
};

async function start(t: TestContext) {
  const server = await WritableServerFixture.start(t);
  const logger = createLogger({ level: "off", format: "text", write: () => undefined });
  // Long enough never to come: whatever is seen has come by the other.
  const times = { tickMs: 5, checkMs: 3_600_000, absentCheckMs: 10 };
  const leadership = new TestLeadership(true);
  const client = server.client(t);
  const registration = new WebhookRegistration({ client, name: NAME, leadership, logger, times });
  t.after(() => registration.close());
  const until = async (wanted: () => boolean): Promise<void> => {
    for (let tries = 0; !wanted(); tries++) {
      assert.ok(tries < 4_000);
      await sleep(5);
    }
  };
  return { server, registration, until };
}

function bundleIn(server: WritableServerFixture): string {
  const text = JSON.stringify(server.get(PATH) ?? {});
  const [, caBundle = ""] = /"caBundle":"([^"]+)"/.exec(text) ?? [];
  return Buffer.from(caBundle, "base64").toString();
}

describe("the registration of the webhook", () => {
  it("is made soon after its configuration comes, which an installation brings last", async (t) => {
    const { server, registration, until } = await start(t);
    registration.setRoots("one");
    await until(() => server.asked.filter((asked) => asked.startsWith("GET")).length > 2);
    server.put(PATH, CONFIGURATION);
    await until(() => bundleIn(server) === "one");
  });
});
