/** Waits until a webhook asks somebody: until then wrong objects are let in, or all are refused. */
import { setTimeout as sleep } from "node:timers/promises";
import { getObject } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import { referenceOf } from "./apply-manifests.ts";
import { INSTALL_POLL_MS, WEBHOOK_TIMEOUT_MS } from "./limits.ts";
import { type Manifest, nameOf } from "./manifest.ts";

/**
 * Returns when istiod-lite has written its CA into a webhook configuration, at once for objects of
 * other kinds; and says so where that takes too long, which is no reason to fail.
 */
export async function untilAnswered(
  client: KubeClient,
  manifest: Manifest,
  say: (line: string) => void,
): Promise<void> {
  if (manifest.kind !== "ValidatingWebhookConfiguration") return;
  const deadline = performance.now() + WEBHOOK_TIMEOUT_MS;
  for (;;) {
    const bare = bareWebhooks(await getObject(client, referenceOf(manifest)));
    if (bare.length === 0) return;
    if (performance.now() > deadline) {
      say(`${nameOf(manifest)}: istiod has not written its CA yet (meshctl check)`);
      return;
    }
    await sleep(INSTALL_POLL_MS);
  }
}

/** Names of webhooks without a CA: the API server cannot call them. Pure. */
export function bareWebhooks(configuration: unknown): readonly string[] {
  const webhooks = isJsonObject(configuration) ? configuration.webhooks : undefined;
  const all = Array.isArray(webhooks) ? webhooks.filter(isJsonObject) : [];
  return all.flatMap(({ name, clientConfig }) => {
    const { caBundle } = isJsonObject(clientConfig) ? clientConfig : {};
    return typeof caBundle === "string" && caBundle !== "" ? [] : [String(name)];
  });
}
