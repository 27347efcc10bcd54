/** The change stream of an API server: what is delivered, what is held, and what goes on after. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LIST_PAGE_OBJECTS } from "#common/kube-client/limits.ts";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { DENIALS_BEFORE_BELIEVED } from "#istiod-lite/config/kubernetes/limits.ts";
import { ApiServerFixture } from "#istiod-lite/config/kubernetes/watch/api-server-fixture.ts";
import {
  startAll,
  watchSource,
} from "#istiod-lite/config/kubernetes/watch/kubernetes-source-fixture.ts";
import { pod, policy, shop } from "#istiod-lite/config/source-fixture.ts";

function withNoise(object: KubernetesObject): KubernetesObject {
  const managedFields = [{ manager: "kubelet", fieldsV1: {} }];
  const annotations = { own: "yes", "kubectl.kubernetes.io/last-applied-configuration": "{}" };
  const metadata = { ...object.metadata, managedFields, annotations, selfLink: null };
  return { ...object, metadata } as KubernetesObject;
}

describe("the first delivery", () => {
  test("is everything there is, of every kind, page by page, in one", async (t) => {
    const pods = Array.from({ length: LIST_PAGE_OBJECTS * 2 + 1 }, (_, i) => pod(`p${i}`));
    const { batches, state, server } = await startAll(t, [...pods, policy("p")]);
    assert.equal(batches.length, 1);
    assert.equal(state.size, pods.length + 3);
    const pages = server.requests.filter(({ path, isWatch }) => path.endsWith("/pods") && !isWatch);
    assert.equal(pages.length, 3);
  });

  test("waits for a kind that is not allowed, and says so once", async (t) => {
    const server = await ApiServerFixture.start(t);
    server.defineAll();
    let isDenied = true;
    server.fault = ({ path }) =>
      isDenied && path.endsWith("/authorizationpolicies") ? { status: 403 } : undefined;
    const { batches, until, said, source } = watchSource(t, server);
    const reads = () => server.requests.filter(({ path }) => path.endsWith("policies"));
    await until(() => said(/not allowed/) === 1);
    await until(() => server.watching("pods") === 1);
    assert.equal(batches.length, 0);
    const asked = reads().filter(({ path }) => path.includes("authorization")).length;
    assert.equal(asked, DENIALS_BEFORE_BELIEVED);
    assert.equal(source.unread.get("AuthorizationPolicy")?.status, 403);
    isDenied = false;
  });

  test("waits for a server that does not know its token, and says so once for all kinds", async (t) => {
    const server = await ApiServerFixture.start(t);
    server.defineAll();
    let status = 503;
    server.fault = () => ({ status });
    const { batches, until, said, source } = watchSource(t, server);
    await until(() => said(/does not answer as it should/) === 1);
    status = 401;
    await until(() => said(/does not know this istiod-lite/) === 1);
    assert.ok([...source.unread.values()].every((each) => each.status === 401));
    assert.equal(said(/not allowed/), 0);
    assert.equal(batches.length, 0);
  });

  test("is not made of a cluster without namespaces, which is none", async (t) => {
    const server = await ApiServerFixture.start(t);
    server.remove("Namespace", "", "default");
    const { batches, until, started } = watchSource(t, server);
    const asked = () => server.requests.filter(({ path }) => path.endsWith("/namespaces")).length;
    await until(() => asked() >= 2);
    assert.equal(batches.length, 0);
    server.put(shop);
    await started;
    assert.deepEqual(
      batches[0]?.map(({ key }) => key),
      ["Namespace//shop"],
    );
  });

  test("waits for a server that is not there yet", async (t) => {
    const server = await ApiServerFixture.start(t);
    server.close();
    const { started, until, said, state } = watchSource(t, server);
    await until(() => said(/API server does not answer/) === 1);
    await server.listen();
    await started;
    assert.ok(state.has("Namespace//default"));
    await until(() => said(/answers again/) === 1);
  });
});

describe("a change", () => {
  test("is delivered without the fields that nothing reads", async (t) => {
    const { server, state, until, batches } = await startAll(t);
    server.put(withNoise(pod("a")));
    await until(() => state.has("Pod/shop/a"));
    const status = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
    const metadata = { name: "a", namespace: "shop", uid: "u1", annotations: { own: "yes" } };
    const spec = { containers: [{ name: "a", image: "i" }] };
    assert.deepEqual(state.get("Pod/shop/a"), { ...pod("a"), metadata, spec, status });
    const before = batches.length;
    const heartbeat = { type: "Ready", status: "True", lastProbeTime: "2026-01-01T00:00:00Z" };
    server.put({ ...pod("a"), status: { ...status, conditions: [heartbeat] } } as KubernetesObject);
    server.put(policy("p"));
    await until(() => state.has("AuthorizationPolicy/shop/p"));
    assert.deepEqual(
      batches
        .slice(before)
        .flat()
        .map(({ key }) => key),
      ["AuthorizationPolicy/shop/p"],
    );
    server.remove("Pod", "shop", "a");
    await until(() => !state.has("Pod/shop/a"));
  });

  test("of kinds that others derive is not asked for", async (t) => {
    const { server } = await startAll(t);
    const slices = server.requests.find(({ path }) => path.endsWith("/endpointslices"));
    assert.match(slices?.query.get("labelSelector") ?? "", /!=endpointslice-controller/);
  });
});

describe("a watch that ends", () => {
  test("goes on where it was, without a list", async (t) => {
    const { server, state, until, source } = await startAll(t, [pod("a")]);
    await until(() => server.watching("pods") === 1);
    server.cutWatches();
    server.put(pod("b"));
    server.remove("Pod", "shop", "a");
    await until(() => state.has("Pod/shop/b") && !state.has("Pod/shop/a"));
    assert.equal(source.lists.get("Pod/first"), 1);
    assert.equal(source.lists.get("Pod/expired"), undefined);
  });

  test("too long ago is listed again, and what was missed is seen, deletions too", async (t) => {
    const { server, state, until, source, batches } = await startAll(t, [pod("a"), pod("b")]);
    await until(() => server.watching("pods") === 1);
    const before = batches.length;
    server.fault = () => "cut";
    server.cutWatches();
    server.remove("Pod", "shop", "a");
    server.put(pod("c"));
    server.compact();
    server.fault = () => undefined;
    await until(() => state.has("Pod/shop/c") && !state.has("Pod/shop/a"));
    assert.equal(source.lists.get("Pod/expired"), 1);
    const keys = batches.slice(before).map((changes) => changes.map(({ key }) => key));
    assert.deepEqual(keys, [["Pod/shop/a", "Pod/shop/c"]]);
  });

  test("because the server went back in time is listed again", async (t) => {
    const { server, state, until } = await startAll(t, [pod("a")]);
    await until(() => server.watching("pods") === 1);
    server.rewind(10);
    server.remove("Pod", "shop", "a");
    await until(() => !state.has("Pod/shop/a"));
    server.rewind(5);
    server.bookmark("pods");
    await until(
      () =>
        server.requests.filter(({ path, isWatch }) => !isWatch && path.endsWith("/pods")).length >=
        3,
    );
  });

  for (const [what, text] of [
    ["garbage", "garbage\n"],
    ["an event without an object", '{"type":"ADDED"}\n'],
    [
      "an object without a name",
      '{"type":"ADDED","object":{"metadata":{"resourceVersion":"99999"}}}\n',
    ],
    ["half a line", '{"type":"ADDED","object":{"metadata'],
    [
      "an error",
      '{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError"}}\n',
    ],
  ] as const) {
    test(`with ${what} misses nothing`, async (t) => {
      const { server, state, until } = await startAll(t, [pod("a")]);
      await until(() => server.watching("pods") === 1);
      server.say("pods", text);
      if (what === "half a line") server.cutWatches("pods");
      server.put(pod("b"));
      await until(() => state.has("Pod/shop/b"));
      assert.ok(state.has("Pod/shop/a"));
    });
  }
});

describe("what is in force", () => {
  test("stays while the server is away, told once", async (t) => {
    const { server, until, said, state, source } = await startAll(t, [pod("a"), policy("p")]);
    server.close();
    await until(() => said(/does not answer as it should/) === 1);
    assert.equal(state.size, 4);
    server.put(pod("b"));
    await server.listen();
    await until(() => state.has("Pod/shop/b"));
    await until(() => said(/answers again/) === 1);
    assert.equal(said(/does not answer as it should/), 1);
    assert.equal(source.loss, undefined);
  });

  test("is deleted by an empty list only when the server says so twice", async (t) => {
    const pods = ["a", "b", "c", "d"].map((name) => pod(name));
    const { server, until, state } = await startAll(t, pods);
    await until(() => server.watching("pods") === 1);
    server.cutWatches("pods");
    for (const { metadata } of pods) server.remove("Pod", "shop", metadata.name);
    server.compact();
    const lists = () =>
      server.requests.filter(({ path, isWatch }) => path.endsWith("/pods") && !isWatch).length;
    await until(() => lists() === 2);
    assert.equal(state.size, 6);
    await until(() => state.size === 2);
    assert.equal(lists(), 3);
  });

  test("stays, and counts as lost, when it may not be read any more", async (t) => {
    const { server, until, state, source } = await startAll(t, [policy("p")]);
    await until(() => server.watching("authorizationpolicies") === 1);
    server.fault = ({ path }) => (path.endsWith("onpolicies") ? { status: 403 } : undefined);
    server.compact();
    server.cutWatches("authorizationpolicies");
    await until(() => source.loss !== undefined);
    assert.deepEqual([...(source.loss?.held ?? [])], ["AuthorizationPolicy/shop/p"]);
    assert.ok(state.has("AuthorizationPolicy/shop/p"));
  });

  test("is not lost, nor long out of date, when a server that starts denies all for a moment", async (t) => {
    const { server, until, state, source, lines } = await startAll(t, [policy("p")]);
    await until(() => server.watching("authorizationpolicies") === 1);
    let denials = 0;
    server.fault = ({ path }) => {
      return path.endsWith("onpolicies") && denials++ < 3 ? { status: 403 } : undefined;
    };
    server.cutWatches("authorizationpolicies");
    await until(() => denials === 3);
    assert.equal(source.loss, undefined);
    server.put(policy("q"));
    await until(() => state.has("AuthorizationPolicy/shop/q"));
    assert.deepEqual(
      lines.filter((line) => /\b(error|warn)\b/.test(line)),
      [],
    );
  });
});

test("a source is started once, and silent after close", async (t) => {
  const { server, source, batches, until } = await startAll(t);
  await assert.rejects(
    source.start(() => undefined),
    { code: "SOURCE_STARTED" },
  );
  await source.close();
  server.put(policy("p"));
  await until(() => server.watching("pods") === 0);
  await sleep(50);
  assert.equal(batches.length, 1);
});
