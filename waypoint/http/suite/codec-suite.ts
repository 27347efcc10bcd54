/**
 * What any engine for HTTP/1.1 has to do, seen from outside: bytes of a client, through the engine
 * and the smallest relay there is, to an upstream. An engine says what it lacks; everything else
 * it is held to.
 */
import { describe } from "node:test";
import type { Forwarder } from "../engine.ts";
import type { Capability } from "./bench.ts";
import { connectionTests } from "./connections.ts";
import { failureTests } from "./failures.ts";
import { messageTests } from "./messages.ts";
import { upgradeTests } from "./upgrades.ts";

export function codecSuite(
  name: string,
  make: () => Forwarder,
  { lacks = [] }: { readonly lacks?: readonly Capability[] } = {},
): void {
  const suite = { make, can: (capability: Capability) => !lacks.includes(capability) };
  describe(name, { concurrency: 8, timeout: 120_000 }, () => {
    messageTests(suite);
    describe("connections", () => connectionTests(suite));
    describe("upgrades and 1xx", () => upgradeTests(suite));
    describe("failures and limits", () => failureTests(suite));
  });
}
