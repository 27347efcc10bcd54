import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, describe, test } from "node:test";
import type { ListenerSink } from "#ztunnel/capture/listener-sink.ts";
import {
  NamespaceTestbed,
  POD_IPV4,
  POD_IPV6,
  type TestNamespace,
} from "#ztunnel/capture/namespace-testbed.ts";
import { ZdsClient } from "./zds-client.ts";
import { INFO, quiet, socketPath, until } from "./zds-fixtures.ts";
import { ZdsPods } from "./zds-pods.ts";
import { ZdsServer } from "./zds-server.ts";

/** Listens in earnest; what it is handed and told stands in `events`. */
class Sink implements ListenerSink {
  readonly events: string[] = [];
  readonly #open = new Map<string, number[]>();

  add: ListenerSink["add"] = ({ uid, ips, workloadUid }, _netns, listeners) => {
    this.events.push(`add ${uid} as ${workloadUid} at ${[...ips].sort().join(" ")}`);
    const { outbound, inboundPlaintext, hbone } = listeners;
    this.#open.set(uid, [...outbound, ...inboundPlaintext, ...hbone]);
    return Promise.resolve();
  };
  remove: ListenerSink["remove"] = (uid) => {
    this.events.push(`remove ${uid}`);
    for (const fd of this.#open.get(uid) ?? []) fs.closeSync(fd);
    this.#open.delete(uid);
    return Promise.resolve();
  };
  close(): void {
    for (const uid of [...this.#open.keys()]) void this.remove(uid);
  }
}

/** An agent that has this pod, and perhaps knows of others without having their namespaces. */
function agent(path: string, known: readonly string[] = []) {
  const answers = new Map<string, string>();
  const server = new ZdsServer({
    path,
    log: quiet,
    known: () => known,
    onAnswer: (uid, error) => void answers.set(uid, error),
  });
  return { server, answers, [Symbol.dispose]: () => server.close() };
}

describe("the pods of a CNI agent", () => {
  let bed: NamespaceTestbed;
  before(async () => {
    bed = await NamespaceTestbed.create();
  });
  after(() => bed.close());

  const pod = (uid: string, { netns }: TestNamespace = bed.pod) => ({
    uid,
    info: INFO,
    netnsFd: netns.fd,
  });
  const connectable = () =>
    bed.connect(bed.pod, { ip: "127.0.0.1", port: 15001 }).then(
      (socket) => !!socket.destroy(),
      () => false,
    );

  function ztunnel(path: string) {
    const sink = new Sink();
    const workloadUid = ({ namespace, name }: typeof INFO) =>
      `Kubernetes//Pod/${namespace}/${name}`;
    const pods = new ZdsPods({ sys: bed.sys, sink, log: quiet, workers: 2, workloadUid });
    const stop = new AbortController();
    const ended = new ZdsClient({ path, pods, log: quiet, random: () => 0 }).run(stop.signal);
    const dispose = async () => {
      stop.abort();
      await ended;
      await pods.close();
      sink.close();
    };
    return { sink, pods, [Symbol.asyncDispose]: dispose };
  }

  test("are acknowledged when their listeners are there, inside the pod", async () => {
    using socket = socketPath();
    using cni = agent(socket.path);
    cni.server.add(pod("u1"));
    cni.server.listen();
    await using own = ztunnel(socket.path);
    await until("it is settled", () => own.pods.isSettled());
    const [added = ""] = own.sink.events;
    assert.equal(added, `add u1 as Kubernetes//Pod/shop/web at ${POD_IPV4} ${POD_IPV6}`);
    assert.deepEqual([...cni.answers], [["u1", ""]]);
    assert.equal(await connectable(), true);
    await cni.server.remove("u1");
    assert.equal(await connectable(), false);
    assert.deepEqual(own.pods.counters(), { active: 0, pending: 0, started: 1, stopped: 1 });
  });

  test("stay served while the agent is away and comes back", async () => {
    using socket = socketPath();
    await using own = ztunnel(socket.path);
    {
      using cni = agent(socket.path);
      cni.server.add(pod("u1"));
      cni.server.listen();
      await until("it is settled", () => own.pods.isSettled());
    }
    await until("it is noticed", () => !own.pods.isSettled());
    assert.equal(await connectable(), true);
    using back = agent(socket.path);
    back.server.add(pod("u1"));
    back.server.listen();
    await until("it is settled again", () => own.pods.isSettled());
    assert.equal(own.sink.events.length, 1);
  });

  test("that were removed while the agent was away go with its snapshot, not before", async () => {
    using socket = socketPath();
    await using own = ztunnel(socket.path);
    {
      using cni = agent(socket.path);
      cni.server.add(pod("gone"));
      cni.server.add(pod("kept", bed.client));
      cni.server.listen();
      await until("it is settled", () => own.pods.isSettled());
    }
    // It knows of one without having its namespace at hand.
    using back = agent(socket.path, ["kept"]);
    await until("it is noticed", () => !own.pods.isSettled());
    assert.equal([...own.pods.pods()].length, 2);
    back.server.listen();
    await until("it is settled again", () => own.pods.isSettled());
    assert.deepEqual(
      [...own.pods.pods()].map((one) => one.pod.uid),
      ["kept"],
    );
    assert.equal(own.sink.events.at(-1), "remove gone");
  });

  test("move when their sandbox is made anew", async () => {
    using socket = socketPath();
    using cni = agent(socket.path);
    cni.server.add(pod("u1", bed.client));
    cni.server.listen();
    await using own = ztunnel(socket.path);
    await until("it is settled", () => own.pods.isSettled());
    assert.equal(await connectable(), false);
    cni.server.add(pod("u1", bed.pod));
    await until("it has moved", () => own.sink.events.length === 3);
    assert.match(own.sink.events.join(), /add u1 .*,remove u1,add u1 /);
    assert.equal(await connectable(), true);
  });

  test("whose ports are taken are refused, tried again, and served once they are free", async () => {
    using socket = socketPath();
    using cni = agent(socket.path);
    cni.server.listen();
    await using own = ztunnel(socket.path);
    const blocker = bed.sys.inNetns(bed.pod.netns, () =>
      bed.sys.listenTcp({ ip: POD_IPV4, port: 15008, backlog: 1, reusePort: false, mark: 0 }),
    );
    cni.server.add(pod("u1"));
    await until("it is refused", () => /EADDRINUSE/.test(cni.answers.get("u1") ?? ""));
    assert.equal(own.pods.isSettled(), false);
    assert.equal(own.pods.counters().pending, 1);
    bed.sys.close(blocker);
    await until("it is served", () => cni.answers.get("u1") === "");
    assert.equal(own.pods.isSettled(), true);
  });

  test("are never the node itself, nor what is no namespace", async () => {
    using socket = socketPath();
    using cni = agent(socket.path);
    await using own = ztunnel(socket.path);
    for (const file of ["/proc/self/ns/net", "/dev/null", "/proc/self/ns/uts"]) {
      const netnsFd = fs.openSync(file, "r");
      cni.server.add({ uid: file, info: INFO, netnsFd });
      cni.server.listen();
      await until("it is refused", () => (cni.answers.get(file) ?? "") !== "");
      await cni.server.remove(file);
      fs.closeSync(netnsFd);
    }
    assert.match(cni.answers.get("/proc/self/ns/net") ?? "", /node's own namespace/);
    assert.match(cni.answers.get("/dev/null") ?? "", /no namespace/);
    assert.deepEqual(own.sink.events, []);
  });
});
