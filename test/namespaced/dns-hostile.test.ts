/**
 * Name servers and applications that behave badly, and more queries than anybody should have: D4.19
 * of the security list. The same ztunnel goes on serving through all of it.
 */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";
import { DnsSockets } from "#test/support/dns-client.ts";
import { namespace, pod, service } from "#test/support/objects.ts";
import { PodSockets, readBytes, readToEnd } from "#test/support/pod-sockets.ts";
import { decode, makeAnswer, makeQuery, records } from "#ztunnel/dns/dns-fixtures.ts";
import { FrameReader, frame } from "#ztunnel/dns/frame-reader.ts";
import { DNS_CONNECTIONS_PER_POD, DNS_QUERIES_PER_POD } from "#ztunnel/dns/limits.ts";

const OBJECTS = [
  namespace("shop", "ambient"),
  namespace("outside", undefined),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "outside", name: "nameserver", node: "node2" }),
  service({ namespace: "shop", name: "web", app: "client" }),
];

let cluster: TestCluster;
let dns: DnsSockets;
let sockets: PodSockets;
let server = "";
let pid = 0;

before(async () => {
  cluster = await startCluster({ objects: OBJECTS });
  dns = new DnsSockets(cluster);
  sockets = new PodSockets(cluster);
  server = await cluster.podIp("outside/nameserver");
  pid = await cluster.ztunnel("node1").pid();
  await cluster.until("the mesh's names are known", async () => {
    const answer = await dns.ask("shop/client", server, makeQuery({ name: "web" }));
    return records(answer).length === 1;
  });
});

afterEach(async () => {
  dns[Symbol.dispose]();
  assert.equal(await cluster.ztunnel("node1").pid(), pid);
});

after(async () => {
  dns?.[Symbol.dispose]();
  sockets?.[Symbol.dispose]();
  await cluster?.stop();
});

const metric = (name: string, labels: Readonly<Record<string, string>>) =>
  cluster.ztunnel("node1").metric(name, labels);

/** A connection to the name server at its TCP port. */
const dial = () => sockets.dial("shop/client", { ip: server, port: 53 });

/** Reads messages off a connection, one at a time. */
function reader(socket: Awaited<ReturnType<typeof dial>>): () => Promise<Buffer> {
  const frames = new FrameReader();
  return async () => {
    for (;;) {
      const message = frames.next();
      if (message !== undefined) return message;
      frames.push(await readBytes(socket, 1));
    }
  };
}

describe("answers of a hostile name server (D4.19)", () => {
  const query = makeQuery({ name: "example.com" });
  const loop = Buffer.from("c00c", "hex");
  const bad: Readonly<Record<string, (query: Buffer) => Buffer>> = {
    "that is nothing": () => Buffer.alloc(0),
    "of eleven bytes": (message) => message.subarray(0, 11),
    "of random bytes": () => Buffer.from(Array.from({ length: 300 }, () => Math.random() * 256)),
    "whose question is a name that points to itself": (message) => {
      const answer = makeAnswer(message, "6.6.6.6");
      return Buffer.concat([answer.subarray(0, 12), loop, Buffer.from("00010001", "hex")]);
    },
    "with counts that promise more than there is": (message) => {
      const answer = makeAnswer(message, "6.6.6.6").subarray(0, 20);
      answer.fill(0xff, 4, 12);
      return answer;
    },
  };
  for (const [what, answer] of Object.entries(bad)) {
    test(`${what} is thrown away, and the good one after it passes`, async () => {
      await dns.serve("outside/nameserver", (message, send) => {
        const first = answer(message);
        // The right id, so that it is not the id that it fails by.
        if (first.length >= 2) message.copy(first, 0, 0, 2);
        send(first);
        send(makeAnswer(message, "192.0.2.7"));
      });
      const received = await dns.ask("shop/client", server, query);
      assert.deepEqual(records(received), ["example.com A 192.0.2.7"]);
    });
  }

  test("of 60,000 bytes, with names that point to themselves inside, passes as it is", async () => {
    let sent = Buffer.alloc(0);
    await dns.serve("outside/nameserver", (message, send) => {
      sent = Buffer.concat([makeAnswer(message, "192.0.2.7"), Buffer.alloc(60_000, loop)]);
      send(sent);
    });
    const received = await dns.ask("shop/client", server, query);
    assert.equal(received.subarray(2).compare(sent.subarray(2)), 0);
  });

  test("that never comes is SERVFAIL", async () => {
    await dns.serve("outside/nameserver", () => undefined);
    const received = decode(await dns.ask("shop/client", server, query));
    assert.equal(received.rcode, "SERVFAIL");
    assert.equal(received.id, 4711);
    assert.ok((await metric("istio_dns_upstream_failures_total", {})) >= 1);
  });

  test("that cannot come, because nobody listens there, is SERVFAIL", async () => {
    const received = decode(await dns.ask("shop/client", server, query));
    assert.equal(received.rcode, "SERVFAIL");
  });
});

describe("an application's TCP connection", () => {
  const query = makeQuery({ name: "example.com", type: "AXFR" });

  test("gets all of an answer in many messages, with the mesh's in between", async () => {
    const parts = [1, 2, 3].map((n) =>
      makeAnswer(makeQuery({ name: "example.com" }), `192.0.2.${n}`),
    );
    await dns.serveTcp("outside/nameserver", (socket) => {
      socket.once("data", () => {
        for (const part of parts) socket.write(frame(part));
      });
    });
    const socket = await dial();
    socket.write(frame(query));
    const next = reader(socket);
    for (const part of parts) assert.deepEqual(await next(), part);
    socket.write(Buffer.concat([frame(makeQuery({ name: "web" })), frame(Buffer.alloc(0))]));
    assert.equal(records(await next()).length, 1);
    // What is no query ends the connection.
    assert.match((await readToEnd(socket)).how, /end|reset|closed/);
  });

  test("in pieces of one byte, then closed for writing, is answered all the same", async () => {
    await dns.serveTcp("outside/nameserver", (socket) => {
      socket.once("data", (chunk: Buffer) =>
        socket.end(frame(makeAnswer(chunk.subarray(2), "192.0.2.7"))),
      );
    });
    const socket = await dial();
    for (const byte of frame(makeQuery({ name: "example.com" }))) socket.write(Buffer.of(byte));
    socket.end();
    assert.deepEqual(records(await reader(socket)()), ["example.com A 192.0.2.7"]);
    socket.destroy();
  });

  test("is told when its server hangs up or sends no answer, and may ask on", async () => {
    await dns.serveTcp("outside/nameserver", (socket) => {
      socket.once("data", () => socket.destroy());
    });
    const socket = await dial();
    socket.write(frame(query));
    assert.equal(decode(await reader(socket)()).rcode, "SERVFAIL");
    socket.write(frame(makeQuery({ name: "web" })));
    assert.equal(records(await reader(socket)()).length, 1);
    socket.destroy();
  });

  test("to a server that nobody runs is told so", async () => {
    const socket = await dial();
    socket.write(frame(query));
    assert.equal(decode(await reader(socket)()).rcode, "SERVFAIL");
    socket.destroy();
  });

  test("beyond the pod's number of them is reset", async () => {
    const open: Awaited<ReturnType<typeof dial>>[] = [];
    // One of an earlier test counts until ztunnel has taken notice of its end: each is asked.
    await cluster.until("as many stand as may", async () => {
      const socket = await dial();
      socket.write(frame(makeQuery({ name: "web" })));
      assert.equal(records(await reader(socket)()).length, 1);
      return open.push(socket) === DNS_CONNECTIONS_PER_POD;
    });
    const bound = { bound: "pod-connections" };
    const before = await metric("ambient_dns_limited_total", bound);
    // The reset may come before the dial itself is over.
    const how = await dial().then(
      async (more) => (await readToEnd(more)).how,
      (error: NodeJS.ErrnoException) => (error.code === "ECONNRESET" ? "reset" : `${error}`),
    );
    assert.match(how, /reset|closed/);
    assert.equal(await metric("ambient_dns_limited_total", bound), before + 1);
    for (const socket of open) socket.destroy();
  });
});

test("queries beyond the pod's number of them are SERVFAIL at once, and then there is room", async () => {
  const waiting: (() => void)[] = [];
  let patient = true;
  await dns.serve("outside/nameserver", (message, send) => {
    const answer = (): void => send(makeAnswer(message, "192.0.2.7"));
    if (patient) waiting.push(answer);
    else answer();
  });
  const bound = { bound: "pod-queries" };
  const before = await metric("ambient_dns_limited_total", bound);
  const count = DNS_QUERIES_PER_POD + 20;
  const queries = Array.from({ length: count }, (_, id) => makeQuery({ name: "example.com", id }));
  const answers = dns.askMany("shop/client", server, queries);
  await cluster.until("the bound is reached", async () => {
    // More where an answer is late: its query is sent again then.
    return (await metric("ambient_dns_limited_total", bound)) >= before + 20;
  });
  // A socket that is asked too much drops what it cannot take: it is asked again.
  const ask = (name: string) => dns.askMany("shop/client", server, [makeQuery({ name, id: 0 })]);
  // What the mesh knows needs no room.
  const [known] = await ask("web");
  assert.equal(records(known ?? Buffer.alloc(0)).length, 1);
  await cluster.until("the server has them", () => waiting.length >= DNS_QUERIES_PER_POD);
  // What waited for long was asked again: some of these may be the same, and others still to come.
  patient = false;
  for (const answer of waiting) answer();
  const codes = (await answers).map((answer) => decode(answer).rcode);
  assert.equal(codes.filter((code) => code === "SERVFAIL").length, 20);
  assert.equal(codes.filter((code) => code === "NOERROR").length, DNS_QUERIES_PER_POD);
  const [later] = await ask("later.example.com");
  assert.equal(decode(later ?? Buffer.alloc(0)).rcode, "NOERROR");
});

test("datagrams that are no queries are counted and not answered", async () => {
  const labels = { why: "malformed-query" };
  const before = await metric("ambient_dns_discarded_total", labels);
  const response = makeAnswer(makeQuery({ name: "web" }), "10.0.0.1");
  for (const junk of [Buffer.alloc(0), Buffer.from("short"), response]) {
    await dns.send("shop/client", server, junk);
  }
  await cluster.until("all are counted", async () => {
    return (await metric("ambient_dns_discarded_total", labels)) === before + 3;
  });
});

test("a query for anything goes to the server, whatever its operation", async () => {
  const seen: Buffer[] = [];
  await dns.serve("outside/nameserver", (message, send) => {
    seen.push(message);
    const answer = Buffer.from(message);
    answer.writeUInt16BE(0x8000 | message.readUInt16BE(2), 2);
    send(answer);
  });
  // RFC 2136: an update of the zone "web", with nothing to be changed.
  const update = Buffer.from("12672800000100000000000003776562000006000100", "hex").subarray(0, 21);
  const answer = await dns.ask("shop/client", server, update);
  assert.equal(answer.readUInt16BE(2), 0xa800);
  assert.deepEqual(seen[0]?.subarray(2), update.subarray(2));
});
