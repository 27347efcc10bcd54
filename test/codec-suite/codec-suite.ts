/**
 * What any engine for HTTP/1.1 has to do, seen from outside: bytes of a client, through the engine
 * and the smallest relay there is, to an upstream. An engine says what it lacks; everything else
 * it is held to.
 */
import { describe, test } from "node:test";
import type { Forwarder } from "#waypoint/http/engine.ts";
import { bodylessChecks } from "./bodyless.ts";
import { type Capability, type Check, onBench } from "./check.ts";
import { connectionChecks } from "./connections.ts";
import { failureChecks } from "./failures.ts";
import { messageChecks } from "./messages.ts";
import { upgradeChecks } from "./upgrades.ts";

const CHECKS: Readonly<Record<string, readonly Check[]>> = {
  messages: [...messageChecks, ...bodylessChecks],
  connections: connectionChecks,
  "upgrades and 1xx": upgradeChecks,
  "failures and limits": failureChecks,
};

export function codecSuite(
  name: string,
  make: () => Forwarder,
  { lacks = [] }: { readonly lacks?: readonly Capability[] } = {},
): void {
  for (const [topic, checks] of Object.entries(CHECKS)) {
    describe(`${name}: ${topic}`, { concurrency: 8, timeout: 120_000 }, () => {
      for (const check of checks) {
        if (check.needs !== undefined && lacks.includes(check.needs)) continue;
        test(check.name, () => onBench(make, check));
      }
    });
  }
}
