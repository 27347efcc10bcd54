/**
 * A state folder as meshctl publishes it, and an istiod-lite's view of it, for tests of the source.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubernetesObject, ObjectChange } from "#common/kubernetes/objects.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { createSource } from "#istiod-lite/config/create-source.ts";

const T0 = Date.parse("2026-01-01T00:00:00Z");

/** A state folder as meshctl publishes it, and an istiod-lite's view of it. */
export class SourceFixture {
  readonly state: string;
  readonly lines: string[] = [];
  nowMs = T0;

  constructor(t: TestContext) {
    this.state = mkdtempSync(join(tmpdir(), "state-"));
    mkdirSync(join(this.state, "objects"));
    t.after(() => rmSync(this.state, { recursive: true, force: true }));
  }

  path(kind: string, namespace: string, name: string): string {
    return join(this.state, "objects", kind, namespace, `${name}.json`);
  }

  publish(object: KubernetesObject): void {
    const { kind, metadata } = object;
    const file = this.path(kind, metadata.namespace ?? "_", metadata.name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${dirname(file)}/.tmp`, JSON.stringify(object, null, 2));
    renameSync(`${dirname(file)}/.tmp`, file);
  }

  remove(kind: string, namespace: string, name: string): void {
    rmSync(this.path(kind, namespace, name));
  }

  overlayFile(kind: string, namespace: string, name: string): string {
    return join(this.state, "overlay", kind, namespace, `${name}.json`);
  }

  overlay(kind: string, namespace: string, name: string) {
    return JSON.parse(readFileSync(this.overlayFile(kind, namespace, name), "utf8"));
  }

  /** Waits for a line of the log. */
  async untilSaid(pattern: RegExp): Promise<void> {
    const started = performance.now();
    while (!pattern.test(this.lines.join("\n"))) {
      assert.ok(performance.now() - started < 4_000, `not said: ${this.lines.join("\n")}`);
      await sleep(2);
    }
  }

  async start(t: TestContext) {
    const write = (line: string): void => void this.lines.push(line);
    const logger = createLogger({ level: "debug", format: "text", write });
    const now = (): Date => new Date(this.nowMs);
    const created = createSource(`folder:${this.state}/objects`, { logger, now });
    const batches: (readonly ObjectChange[])[] = [];
    await created.source.start((changes) => void batches.push(changes));
    t.after(() => created.source.close());
    const state = () => stateOf(batches);
    const until = async (wanted: (state: Map<string, KubernetesObject>) => boolean) => {
      const started = performance.now();
      while (!wanted(state())) {
        assert.ok(
          performance.now() - started < 4_000,
          `not reached: ${JSON.stringify([...state()])}`,
        );
        await sleep(2);
      }
      return state();
    };
    return { ...created, batches, state, until };
  }
}

function stateOf(batches: readonly (readonly ObjectChange[])[]): Map<string, KubernetesObject> {
  const state = new Map<string, KubernetesObject>();
  for (const { key, object } of batches.flat()) {
    if (object === undefined) assert.ok(state.delete(key), `${key} was there`);
    else state.set(key, object);
  }
  return state;
}

export function pod(name: string, uid = "u1", image = "i"): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "shop", uid, annotations: { own: "yes" } },
    spec: { containers: [{ name: "a", image }] },
    status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
  };
}

export function policy(name: string): KubernetesObject {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: "shop" },
    spec: { rules: [{}] },
  };
}

export const shop: KubernetesObject = {
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: "shop" },
};
export const podRef = { kind: "Pod", namespace: "shop", name: "a" } as const;
export const policyRef = { kind: "AuthorizationPolicy", namespace: "shop", name: "p" } as const;
export const accepted = {
  type: "ZtunnelAccepted",
  status: "True",
  reason: "Accepted",
  message: "ok",
} as const;

export function annotationsOf(state: Map<string, KubernetesObject>, key = "Pod/shop/a") {
  return state.get(key)?.metadata.annotations;
}
