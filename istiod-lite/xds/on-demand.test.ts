/** Look-ups by name, from our delta client to our server, over real gRPC. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { createLogger } from "#common/telemetry/logger.ts";
import { DeltaClient } from "#common/xds/delta-client.ts";
import { NameSubscription } from "#common/xds/name-subscription.ts";
import { ResourceHandler } from "#common/xds/resource-handler.ts";
import { ADDRESS_TYPE } from "#common/xds/type-urls.ts";
import {
  absent,
  makeNamespace,
  makePod,
  makeService,
  makeServiceEntry,
  present,
} from "../registry/registry-fixtures.ts";
import { AdsTestServer } from "./ads-test-server.ts";

const WEB = "Kubernetes//Pod/shop/web-1";
const noWrites = {
  setPodAnnotations: () => Promise.resolve(),
  setConditions: () => Promise.resolve(),
  setAddresses: () => Promise.resolve(),
  setStatusFields: () => Promise.resolve(),
  recordEvent: () => Promise.resolve(),
};

let server: AdsTestServer;
let client: OnDemandClient;
beforeEach(async () => {
  server = await AdsTestServer.start(noWrites);
  server.apply(
    present(makePod(), makePod({ name: "db-1", ips: ["10.0.2.1"] }), makeNamespace("shop")),
  );
  client = new OnDemandClient(server);
});
afterEach(async () => {
  await client.stop();
  await server.close();
});

/** A client that asks for addresses by name, with what it holds and what it was told. */
class OnDemandClient {
  readonly held = new Set<string>();
  /** Names of resources, push by push. */
  readonly pushes: string[][] = [];
  readonly told: string[] = [];
  readonly names = new NameSubscription(({ found, absent: gone }) => {
    for (const name of found) this.told.push(`found ${name}`);
    for (const name of gone) this.told.push(`absent ${name}`);
  });
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #grpc: ReturnType<AdsTestServer["client"]> | undefined;

  constructor(ads: AdsTestServer) {
    const handler = ResourceHandler.of({
      typeUrl: ADDRESS_TYPE,
      decode: (bytes) => bytes,
      names: this.names,
      apply: (upserts, removed) => {
        this.pushes.push(upserts.map(({ name }) => name));
        for (const name of removed) this.held.delete(name);
        for (const { name } of upserts) this.held.add(name);
      },
    });
    const channel = {
      url: "test",
      client: async () => {
        this.#grpc ??= ads.client();
        return this.#grpc;
      },
      metadata: () => ads.metadata(),
      reset: () => this.disconnect(),
    };
    const counters = { terminated: () => undefined, received: () => undefined };
    const logger = createLogger({ level: "error", format: "text", write: () => undefined });
    const deps = { channel, handlers: [handler], logger, counters, random: () => 0 };
    this.#running = new DeltaClient(deps, NODE).run(this.#stop.signal);
  }

  disconnect(): void {
    this.#grpc?.close();
    this.#grpc = undefined;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Resolves when it has been told so many things; the last of them. */
  async hears(count: number): Promise<readonly string[]> {
    await until(() => this.told.length >= count);
    return this.told.slice(-1);
  }
}

const NODE = {
  id: "ztunnel~10.0.0.9~ztunnel-1.istio-system~istio-system.svc.cluster.local",
  cluster: "",
  metadata: { NODE_NAME: "node-1" },
};

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("it did not happen");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test("only what is asked for is sent: by address, by name, or that nobody is there", async () => {
  client.names.ask("/10.0.1.1");
  assert.deepEqual(await client.hears(1), ["found /10.0.1.1"]);
  assert.deepEqual([...client.held], [WEB]);
  client.names.ask("/10.9.9.9");
  assert.deepEqual(await client.hears(2), ["absent /10.9.9.9"]);
  assert.deepEqual([...client.held], [WEB]);
});

test("an address at which nobody was is spoken of when somebody comes, and when he leaves", async () => {
  client.names.ask("/10.0.7.7");
  assert.deepEqual(await client.hears(1), ["absent /10.0.7.7"]);
  const late = makePod({ name: "late", ips: ["10.0.7.7"] });
  server.apply(present(late));
  assert.deepEqual(await client.hears(2), ["found /10.0.7.7"]);
  server.apply(absent(late));
  await until(() => client.held.size === 0);
});

test("a service comes with its endpoints, and those that join it later", async () => {
  const labels = { app: "web" };
  const spec = { selector: labels, clusterIP: "10.1.0.1", ports: [{ name: "http", port: 80 }] };
  server.apply(present(makeService("web", spec), makePod({ labels })));
  client.names.ask("/10.1.0.1");
  assert.deepEqual(await client.hears(1), ["found /10.1.0.1"]);
  assert.deepEqual([...client.held].sort(), [WEB, "shop/web.shop.svc.cluster.local"]);
  server.apply(present(makePod({ name: "web-2", ips: ["10.0.1.2"], labels })));
  await until(() => client.held.has("Kubernetes//Pod/shop/web-2"));
});

test("an address in a block of a service leads to it", async () => {
  const addresses = ["10.5.0.0/16"];
  const entry = makeServiceEntry("blocks", { addresses, resolution: "NONE" });
  client.names.ask("/10.5.6.7");
  assert.deepEqual(await client.hears(1), ["absent /10.5.6.7"]);
  server.apply(present(entry));
  assert.deepEqual(await client.hears(2), ["found /10.5.6.7"]);
  client.names.ask("/10.5.9.9");
  client.names.ask("/10.6.0.1");
  await until(() => client.told.includes("absent /10.6.0.1"));
  await until(() => client.told.includes("found /10.5.9.9"));
});

test("a reconnect takes up every name and sends nothing again that is held", async () => {
  client.names.ask("/10.0.1.1");
  client.names.ask("/10.9.9.9");
  await client.hears(2);
  const pushed = client.pushes.length;
  client.disconnect();
  // An answer to the first request of the new stream.
  await until(() => client.told.length >= 3);
  assert.deepEqual(client.told.slice(2), ["absent /10.9.9.9"]);
  assert.deepEqual(client.pushes.slice(pushed).flat(), []);
  server.apply(present(makePod({ ready: false })));
  await until(() => client.pushes.slice(pushed).flat().includes(WEB));
});

test("what is asked for while the control plane is away is asked for when it is back", async () => {
  client.names.ask("/10.0.1.1");
  await client.hears(1);
  client.disconnect();
  client.names.ask("/10.0.2.1");
  client.names.ask("/10.0.1.1");
  await until(() => client.told.includes("found /10.0.2.1"));
  await until(() => client.told.filter((what) => what === "found /10.0.1.1").length === 2);
});
