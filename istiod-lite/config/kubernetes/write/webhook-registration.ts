/**
 * Tells the API server which CA the webhook's certificate is of: `caBundle` in the
 * ValidatingWebhookConfiguration, which comes with the manifests. Only the leader writes, and
 * nothing but that field, so that whoever applies the manifests again takes nothing away for long.
 */

import { applyObject, getObject } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import {
  WEBHOOK_ABSENT_CHECK_MS,
  WEBHOOK_REGISTRATION_CHECK_MS,
  WEBHOOK_REGISTRATION_TICK_MS,
} from "#istiod-lite/config/kubernetes/limits.ts";
import { FIELD_MANAGER } from "#istiod-lite/config/kubernetes/write/stored-object.ts";
import type { Leadership } from "#istiod-lite/config/leadership.ts";
import { WRITE_HELD_BACK } from "#istiod-lite/config/source.ts";

const API_VERSION = "admissionregistration.k8s.io/v1";
const KIND = "ValidatingWebhookConfiguration";

export interface WebhookRegistrationDeps {
  readonly client: KubeClient;
  /** Of the ValidatingWebhookConfiguration; Istio's is `istio-validator-<root namespace>`. */
  readonly name: string;
  readonly leadership: Pick<Leadership, "isLeader">;
  readonly logger: Logger;
  /** Default: those of limits.ts. */
  readonly times?: typeof TIMES;
}

const TIMES = {
  tickMs: WEBHOOK_REGISTRATION_TICK_MS as number,
  checkMs: WEBHOOK_REGISTRATION_CHECK_MS as number,
  absentCheckMs: WEBHOOK_ABSENT_CHECK_MS as number,
};

/** What became of the last look. */
type State = "unknown" | "absent" | "current" | "failed";

export class WebhookRegistration {
  readonly #deps: WebhookRegistrationDeps;
  readonly #times: typeof TIMES;
  /** PEM of what signs the webhook's certificate, and what was told, or tried to, the last time. */
  #roots = "";
  #tried = "";
  #checkAt = 0;
  #state: State = "unknown";
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(deps: WebhookRegistrationDeps) {
    this.#deps = deps;
    this.#times = deps.times ?? TIMES;
  }

  /** Called with the roots in force, and whenever others are. The first call begins. */
  setRoots(rootsPem: string): void {
    this.#roots = rootsPem;
    this.#tick();
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#tick(), this.#times.tickMs);
    this.#timer.unref();
  }

  /** Resolves when no write is under way. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  /** Looks at the API server now and then, and at once when the roots are other ones. */
  #tick(): void {
    const isDue = this.#roots !== this.#tried || performance.now() >= this.#checkAt;
    if (!this.#deps.leadership.isLeader || this.#running !== undefined || !isDue) return;
    this.#tried = this.#roots;
    this.#running = this.#keep(this.#roots).finally(() => {
      const { absentCheckMs, checkMs } = this.#times;
      this.#checkAt = performance.now() + (this.#state === "absent" ? absentCheckMs : checkMs);
      this.#running = undefined;
    });
  }

  async #keep(roots: string): Promise<void> {
    try {
      const state = await this.#register(Buffer.from(roots).toString("base64"));
      this.#say(state);
    } catch (error) {
      if (error instanceof MeshError && error.code === WRITE_HELD_BACK) return;
      this.#say("failed", describeError(error));
    }
  }

  async #register(caBundle: string): Promise<State> {
    const { client, name } = this.#deps;
    const reference = { apiVersion: API_VERSION, kind: KIND, name };
    const hooks = webhooksOf(await getObject(client, reference));
    if (hooks.length === 0) return "absent";
    if (hooks.every((hook) => hook.caBundle === caBundle)) return "current";
    const webhooks = hooks.map((hook) => ({ name: hook.name, clientConfig: { caBundle } }));
    const object = { apiVersion: API_VERSION, kind: KIND, metadata: { name }, webhooks };
    await applyObject(client, object, FIELD_MANAGER);
    return "current";
  }

  /** Each state once. */
  #say(state: State, why?: string): void {
    if (state === this.#state) return;
    this.#state = state;
    const { name } = this.#deps;
    const logger = this.#deps.logger.scope("webhook");
    if (state === "current") logger.info("the webhook validates objects", { name });
    if (state === "absent") {
      const hint = "kubectl apply -k manifests/base brings it";
      logger.warn(`there is no ${KIND}: wrong objects are not refused where they are written`, {
        name,
        hint,
      });
    }
    if (state === "failed") logger.error("the webhook's CA could not be told", { name, why });
  }
}

interface Hook {
  readonly name: string;
  readonly caBundle: unknown;
}

/** Those that are called through a Service: what is called by a URL is somebody else's. */
function webhooksOf(configuration: unknown): readonly Hook[] {
  const list = isJsonObject(configuration) ? configuration.webhooks : undefined;
  const webhooks: readonly unknown[] = Array.isArray(list) ? list : [];
  return webhooks.flatMap((hook) => {
    if (!isJsonObject(hook) || !isJsonObject(hook.clientConfig)) return [];
    const { service, caBundle } = hook.clientConfig;
    return service === undefined ? [] : [{ name: String(hook.name), caBundle }];
  });
}
