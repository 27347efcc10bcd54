import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { createLogger } from "#common/telemetry/logger.ts";
import { CONFLICT_RETRIES, EVENT_BURST_PER_OBJECT } from "#istiod-lite/config/kubernetes/limits.ts";
import { KubernetesStatusWriter } from "./status-writer.ts";
import { failure, WritableServerFixture } from "./writable-server-fixture.ts";

const POLICIES = "/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies";
const PODS = "/api/v1/namespaces/shop/pods";
const EVENTS = "/api/v1/namespaces/shop/events";
const POLICY = { kind: "AuthorizationPolicy", namespace: "shop", name: "p" } as const;
const ACCEPTED = {
  type: "ZtunnelAccepted",
  status: "True",
  reason: "Accepted",
  message: "",
} as const;

async function start(t: TestContext) {
  const server = await WritableServerFixture.start(t);
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const logger = createLogger({ level: "info", format: "text", write });
  const time = { now: Date.parse("2026-01-01T00:00:00.700Z") };
  const writer = new KubernetesStatusWriter({
    client: server.client(t),
    logger,
    now: () => new Date(time.now),
    apiVersionOf: () => undefined,
  });
  const policy = (status?: object): void => {
    const metadata = { name: "p", namespace: "shop", generation: 3 };
    const base = { apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy", metadata };
    server.put(`${POLICIES}/p`, { ...base, ...(status && { status }) });
  };
  const conditions = () =>
    server.get(`${POLICIES}/p`)?.status?.conditions as readonly object[] | undefined;
  return { server, lines, time, writer, policy, conditions };
}

describe("a condition", () => {
  it("is written with generation and time, and not again when nothing changes", async (t) => {
    const { server, time, writer, policy, conditions } = await start(t);
    policy();
    await writer.setConditions(POLICY, [ACCEPTED], 3);
    const said = { ...ACCEPTED, observedGeneration: 3, lastTransitionTime: "2026-01-01T00:00:00Z" };
    assert.deepEqual(conditions(), [said]);
    assert.deepEqual(server.takeWrites(), [`PATCH ${POLICIES}/p/status`]);
    time.now += 60_000;
    await writer.setConditions(POLICY, [ACCEPTED], 3);
    assert.deepEqual(server.takeWrites(), []);
    await writer.setConditions(POLICY, [ACCEPTED], 4);
    assert.deepEqual(conditions(), [{ ...said, observedGeneration: 4 }]);
  });

  it("leaves those of others alone, whatever they write at the same time", async (t) => {
    const { server, writer, policy, conditions } = await start(t);
    const other = { type: "Other", status: "True", reason: "Set", message: "" };
    policy();
    let raced = false;
    server.answer = ({ method }) => {
      if (method === "PATCH" && !raced) {
        raced = true;
        policy({ conditions: [other] });
      }
      return undefined;
    };
    await writer.setConditions(POLICY, [ACCEPTED], undefined);
    assert.deepEqual(
      conditions()?.map((each) => (each as typeof other).type),
      ["Other", "ZtunnelAccepted"],
    );
    const rest = { ...ACCEPTED, type: "WaypointAccepted" };
    await writer.setConditions(POLICY, [rest], undefined, ["ZtunnelAccepted"]);
    assert.deepEqual(
      conditions()?.map((each) => (each as typeof other).type),
      ["Other", "WaypointAccepted"],
    );
  });

  it("is given up for now where others never cease to write", async (t) => {
    const { server, writer, policy } = await start(t);
    policy();
    server.answer = ({ method }) => (method === "PATCH" ? failure(409, "Conflict") : undefined);
    await assert.rejects(writer.setConditions(POLICY, [ACCEPTED], 1), { reason: "Conflict" });
    assert.equal(server.takeWrites().length, CONFLICT_RETRIES);
  });

  it("of an object that is gone is no error", async (t) => {
    const { server, writer } = await start(t);
    await writer.setConditions(POLICY, [ACCEPTED], 1);
    await writer.recordEvent(POLICY, { type: "Warning", reason: "R", message: "m" });
    assert.deepEqual(server.takeWrites(), []);
  });
});

describe("the other fields of a status", () => {
  it("are set whole, but for the entries of other controllers", async (t) => {
    const { server, writer, policy } = await start(t);
    const theirs = { controllerName: "nginx", parentRef: { name: "g" }, conditions: [] };
    policy({ parents: [theirs] });
    const condition = { type: "Accepted", status: "True" } as const;
    const ours = { controllerName: "istio.io/mesh-controller", parentRef: { name: "web" } };
    const fields = { parents: [{ ...ours, conditions: [condition] }] };
    await writer.setStatusFields(POLICY, fields, 3);
    const lastTransitionTime = "2026-01-01T00:00:00Z";
    const said = { reason: "Reported", message: "", observedGeneration: 3, lastTransitionTime };
    const { parents } = server.get(`${POLICIES}/p`)?.status ?? {};
    assert.deepEqual(parents, [theirs, { ...ours, conditions: [{ ...condition, ...said }] }]);
    server.takeWrites();
    await writer.setStatusFields(POLICY, fields, 3);
    assert.deepEqual(server.takeWrites(), []);
  });

  it("say which addresses a ServiceEntry has", async (t) => {
    const { server, writer } = await start(t);
    const path = "/apis/networking.istio.io/v1/namespaces/shop/serviceentries/e";
    server.put(path, { kind: "ServiceEntry", metadata: { name: "e", namespace: "shop" } });
    const addresses = [{ host: "a.test", value: "240.240.0.1" }];
    const entry = { kind: "ServiceEntry", namespace: "shop", name: "e" } as const;
    await writer.setAddresses(entry, addresses);
    await writer.setAddresses(entry, addresses);
    assert.deepEqual(server.get(path)?.status, { addresses });
    assert.equal(server.takeWrites().length, 1);
  });
});

describe("a pod's annotations", () => {
  it("are set and removed in one write, without a look before it", async (t) => {
    const { server, writer } = await start(t);
    const metadata = {
      name: "web",
      namespace: "shop",
      uid: "u",
      annotations: { old: "1", own: "2" },
    };
    server.put(`${PODS}/web`, { kind: "Pod", metadata });
    const pod = { namespace: "shop", name: "web", uid: "u" };
    await writer.setPodAnnotations(pod, { old: undefined, new: "3" });
    assert.deepEqual(server.asked, [`PATCH ${PODS}/web/status`]);
    const found = server.get(`${PODS}/web`)?.metadata as { readonly annotations?: object };
    assert.deepEqual(found.annotations, { own: "2", new: "3" });
  });

  it("are never those of another pod of the name; a pod that is gone is no error", async (t) => {
    const { server, writer } = await start(t);
    server.put(`${PODS}/web`, {
      kind: "Pod",
      metadata: { name: "web", namespace: "shop", uid: "new" },
    });
    const pod = { namespace: "shop", name: "web", uid: "old" };
    await writer.setPodAnnotations(pod, { x: "1" });
    assert.equal("annotations" in (server.get(`${PODS}/web`)?.metadata ?? {}), false);
    await writer.setPodAnnotations({ ...pod, name: "none" }, { x: "1" });
  });
});

describe("an Event", () => {
  const details = { type: "Warning", reason: "NotEnforced", message: "no waypoint" } as const;

  it("names its object, and its repetitions are counted, whoever made it", async (t) => {
    const { server, writer, policy } = await start(t);
    policy();
    await writer.recordEvent(POLICY, details);
    await writer.recordEvent(POLICY, details);
    await writer.recordEvent(POLICY, { ...details, message: "another" });
    const [path = ""] = server.asked
      .filter((line) => line.startsWith("PATCH "))
      .map((l) => l.slice(6));
    const event = server.get(path) as unknown as { readonly count: number; involvedObject: object };
    assert.equal(event.count, 2);
    const { uid } = server.get(`${POLICIES}/p`)?.metadata ?? {};
    assert.equal((event.involvedObject as { readonly uid?: string }).uid, uid);
    assert.equal(server.asked.filter((line) => line === `POST ${EVENTS}`).length, 3);
  });

  it("is left out where one object has too many, and others still have theirs", async (t) => {
    const { server, lines, writer, policy } = await start(t);
    policy();
    const path = "/apis/security.istio.io/v1/namespaces/shop/peerauthentications/q";
    const metadata = { name: "q", namespace: "shop" };
    server.put(path, { apiVersion: "v1", kind: "PeerAuthentication", metadata });
    for (let i = 0; i < EVENT_BURST_PER_OBJECT + 5; i++) {
      await writer.recordEvent(POLICY, { ...details, message: `m${i}` });
    }
    const posts = () => server.asked.filter((line) => line === `POST ${EVENTS}`).length;
    assert.equal(posts(), EVENT_BURST_PER_OBJECT);
    assert.match(lines.join(""), /too many Events: left out/);
    await writer.recordEvent({ ...POLICY, kind: "PeerAuthentication", name: "q" }, details);
    assert.equal(posts(), EVENT_BURST_PER_OBJECT + 1);
  });

  it("in a namespace that is going is no error", async (t) => {
    const { server, writer, policy } = await start(t);
    policy();
    const why = "unable to create new content in namespace shop because it is being terminated";
    server.answer = ({ method }) =>
      method === "POST" ? failure(403, "Forbidden", why) : undefined;
    await writer.recordEvent(POLICY, details);
  });
});
