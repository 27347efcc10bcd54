import assert from "node:assert/strict";
import { test } from "node:test";
import type { End, EndEvents } from "./end.ts";
import { type RelayOutcome, relay } from "./relay.ts";

test("a relay is done once, though its ends close each other at once", () => {
  class AbruptEnd implements End {
    readonly bytesRead = 0;
    events: EndEvents | undefined;
    start(events: EndEvents): void {
      this.events = events;
    }
    write = () => true;
    shutdown = () => undefined;
    resume = () => undefined;
    probe = () => undefined;
    reset(error = new Error("reset")): void {
      const { events } = this;
      this.events = undefined;
      events?.onClosed(error);
    }
  }
  const outcomes: RelayOutcome[] = [];
  const [downstream, upstream] = [new AbruptEnd(), new AbruptEnd()];
  relay(downstream, upstream, (outcome) => outcomes.push(outcome));
  const error = new Error("gone");
  upstream.reset(error);
  assert.deepEqual(outcomes, [{ error, brokenBy: "upstream" }]);
});
