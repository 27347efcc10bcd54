import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import {
  LEASE_DURATION_MS,
  LEASE_RENEW_DEADLINE_MS,
  LEASE_RETRY_MS,
} from "#istiod-lite/config/kubernetes/limits.ts";
import {
  failure,
  WritableServerFixture,
} from "#istiod-lite/config/kubernetes/write/writable-server-fixture.ts";
import { leadingClient } from "./leading-client.ts";
import { LeaseElector } from "./lease-elector.ts";

const LEASE = "/apis/coordination.k8s.io/v1/namespaces/istio-system/leases/leader";
const logger = createLogger({ level: "error", format: "text", write: () => undefined });

/** Time that passes when a test says so, for any number of electors. */
class TestClock {
  #now = 0;
  readonly #sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();

  now = (): number => this.#now;
  date = (): Date => new Date(Date.parse("2026-01-01T00:00:00Z") + this.#now);

  sleep = (milliseconds: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const sleeper = { at: this.#now + milliseconds, wake: resolve };
      this.#sleepers.add(sleeper);
      signal.addEventListener("abort", () => resolve(), { once: true });
      if (signal.aborted) resolve();
    });

  /** Passes in steps of a retry, and waits after each until all electors rest again. */
  async pass(milliseconds: number, electors: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= LEASE_RETRY_MS) {
      this.#now += Math.min(left, LEASE_RETRY_MS);
      for (const sleeper of this.#sleepers) {
        if (sleeper.at > this.#now) continue;
        this.#sleepers.delete(sleeper);
        sleeper.wake();
      }
      await this.settled(electors);
    }
  }

  async settled(electors: number): Promise<void> {
    while (this.#sleepers.size < electors) await turn();
  }
}

interface Replica {
  readonly elector: LeaseElector;
  readonly heard: boolean[];
}

function replica(client: KubeClient, clock: TestClock, identity: string): Replica {
  const options = { namespace: "istio-system", name: "leader", identity };
  const elector = new LeaseElector(options, { client, logger, clock });
  const heard: boolean[] = [];
  elector.onChange((isLeader) => void heard.push(isLeader));
  return { elector, heard };
}

async function pair(t: TestContext) {
  const server = await WritableServerFixture.start(t);
  const clock = new TestClock();
  const a = replica(server.client(t), clock, "a");
  const b = replica(server.client(t), clock, "b");
  a.elector.start();
  await clock.settled(1);
  b.elector.start();
  await clock.settled(2);
  return { server, clock, a, b };
}

const holder = (server: WritableServerFixture): unknown =>
  (server.get(LEASE) as { readonly spec?: { readonly holderIdentity?: string } } | undefined)?.spec
    ?.holderIdentity;

describe("leader election", () => {
  it("has one leader, who stays it while it renews", async (t) => {
    const { server, clock, a, b } = await pair(t);
    await clock.pass(LEASE_DURATION_MS * 4, 2);
    assert.deepEqual([a.elector.isLeader, b.elector.isLeader], [true, false]);
    assert.deepEqual([a.heard, b.heard, holder(server)], [[true], [], "a"]);
  });

  it("goes over at once when the leader gives it up", async (t) => {
    const { server, clock, a, b } = await pair(t);
    await a.elector.close();
    assert.deepEqual([holder(server), a.elector.isLeader, a.heard], ["", false, [true, false]]);
    await clock.pass(LEASE_RETRY_MS, 1);
    assert.deepEqual([holder(server), b.elector.isLeader], ["b", true]);
  });

  it("is given up by who wins it while it ends", async (t) => {
    const server = await WritableServerFixture.start(t);
    const clock = new TestClock();
    const { elector, heard } = replica(server.client(t), clock, "a");
    const asked = Promise.withResolvers<void>();
    server.answer = ({ method }) => {
      if (method === "POST") asked.resolve();
      return undefined;
    };
    elector.start();
    await asked.promise;
    await elector.close();
    assert.equal(holder(server), "");
    assert.deepEqual(heard, []);
  });

  it("goes over when a leader that is cut off is one no more, never before", async (t) => {
    const { server, clock, a, b } = await pair(t);
    let cut = true;
    server.answer = ({ body }) => {
      const { holderIdentity } = (body.spec ?? {}) as { readonly holderIdentity?: string };
      return cut && holderIdentity === "a" ? failure(503, "ServiceUnavailable") : undefined;
    };
    const { signal } = a.elector;
    await clock.pass(LEASE_RENEW_DEADLINE_MS - LEASE_RETRY_MS, 2);
    assert.deepEqual([a.elector.isLeader, b.elector.isLeader], [true, false]);
    await clock.pass(LEASE_RETRY_MS, 2);
    assert.deepEqual(
      [a.elector.isLeader, b.elector.isLeader, signal.aborted],
      [false, false, true],
    );
    await clock.pass(LEASE_DURATION_MS - LEASE_RENEW_DEADLINE_MS + LEASE_RETRY_MS, 2);
    assert.deepEqual([a.elector.isLeader, b.elector.isLeader], [false, true]);
    cut = false;
    await clock.pass(LEASE_DURATION_MS * 2, 2);
    assert.deepEqual([a.elector.isLeader, b.elector.isLeader], [false, true]);
  });

  it("is lost by the clock alone, before any answer comes: nothing more is written", async (t) => {
    const { server, clock, a } = await pair(t);
    const write = leadingClient(server.client(t), a.elector);
    const path = "/api/v1/namespaces/shop/configmaps/c";
    server.put(path, { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" } });
    await write.request({ method: "GET", path });
    const asked = server.asked.length;
    // As after a process was stopped for a while: no timer of it has run yet.
    const late = clock.now() + LEASE_RENEW_DEADLINE_MS;
    t.mock.method(clock, "now", () => late);
    await assert.rejects(write.request({ method: "DELETE", path }), { code: "WRITE_HELD_BACK" });
    assert.equal(server.asked.length, asked);
    assert.deepEqual(a.heard, [true, false]);
  });

  it("cuts what is being written when it is lost", async (t) => {
    const { server, a } = await pair(t);
    const write = leadingClient(server.client(t), a.elector);
    const began = Promise.withResolvers<void>();
    const body = { metadata: { name: "c" } };
    const path = "/api/v1/namespaces/shop/configmaps";
    server.answer = ({ method }) => {
      if (method !== "POST") return undefined;
      began.resolve();
      return "none";
    };
    const writing = write.request({ method: "POST", path, body });
    await began.promise;
    void a.elector.close();
    await assert.rejects(writing, { code: "WRITE_HELD_BACK" });
  });

  it("is not won by who was slower, and a deleted Lease is made again", async (t) => {
    const { server, clock, a, b } = await pair(t);
    server.remove(LEASE);
    await clock.pass(LEASE_RETRY_MS, 2);
    const leaders = [a, b].filter(({ elector }) => elector.isLeader);
    assert.equal(leaders.length, 1);
    assert.equal(holder(server), leaders[0] === a ? "a" : "b");
  });
});
