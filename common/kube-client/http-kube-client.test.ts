/** Requests and watches against a real HTTP server that answers as it likes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { applyObject, deleteObject, getObject } from "#common/kube-client/apply.ts";
import { HttpKubeClient } from "#common/kube-client/http-kube-client.ts";
import type { KubeApiError } from "#common/kube-client/kube-client.ts";
import { WATCH_LINE_BYTES } from "#common/kube-client/limits.ts";

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

async function serve(t: TestContext, answer: Answer, token: () => string = () => "t") {
  const server = createServer((request, response) => void answer(request, response)).listen(
    0,
    "127.0.0.1",
  );
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const refused: string[] = [];
  const client = new HttpKubeClient({
    server: new URL(`http://127.0.0.1:${port}/base/`),
    tls: async () => ({ rejectUnauthorized: true }),
    headers: async () => ({ authorization: `Bearer ${token()}` }),
    refused: async () => {
      refused.push(token());
      return true;
    },
  });
  t.after(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  return { client, server, refused };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

function failsWith(expected: { status: number; reason: string; message?: RegExp }) {
  return (error: unknown): boolean => {
    const { code, status, reason, message } = error as KubeApiError;
    assert.deepEqual({ code, status, reason }, { code: "KUBE_API", ...pick(expected) }, message);
    assert.match(message, expected.message ?? /./);
    return true;
  };
}

function pick({ status, reason }: { status: number; reason: string }) {
  return { status, reason };
}

async function read(events: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const event of events) all.push(event);
  return all;
}

const list = { method: "GET", path: "/api/v1/pods" } as const;
const pods = { path: "/api/v1/pods" } as const;

describe("a request", () => {
  test("carries path, query, credentials and JSON, and gives the parsed answer", async (t) => {
    const { client } = await serve(t, async (request, response) => {
      const { method, url, headers } = request;
      const body = JSON.parse(await bodyOf(request));
      const { authorization } = headers;
      const type = headers["content-type"];
      response.end(JSON.stringify({ method, url, authorization, type, body }));
    });
    const said = await client.request({
      method: "PATCH",
      path: "/api/v1/pods",
      query: { limit: "5", continue: undefined, labelSelector: "a!=b c" },
      body: { a: "ü" },
      contentType: "application/merge-patch+json",
    });
    assert.deepEqual(said, {
      method: "PATCH",
      url: "/base/api/v1/pods?limit=5&labelSelector=a%21%3Db+c",
      authorization: "Bearer t",
      type: "application/merge-patch+json",
      body: { a: "ü" },
    });
  });

  test("that is refused says status, reason, words and when to come again", async (t) => {
    const { client } = await serve(t, (_, response) => {
      response.writeHead(403, { "retry-after": "2" });
      const message = 'pods is forbidden: User "x" cannot list';
      response.end(JSON.stringify({ kind: "Status", reason: "Forbidden", message, code: 403 }));
    });
    await assert.rejects(client.request(list), (error: KubeApiError) => {
      failsWith({ status: 403, reason: "Forbidden", message: /cannot list/ })(error);
      assert.equal(error.retryAfterMs, 2_000);
      assert.match(error.hint ?? "", /RBAC/);
      return true;
    });
  });

  test("answered by a proxy's page has the reason of its status", async (t) => {
    const { client } = await serve(t, (_, response) => {
      response.writeHead(503).end(`<html>\n${"busy ".repeat(1_000)}`);
    });
    await assert.rejects(client.request(list), (error: KubeApiError) => {
      failsWith({ status: 503, reason: "ServiceUnavailable", message: /<html> busy/ })(error);
      return error.message.length < 300;
    });
  });

  test("refused with 401 is sent again once, with the credentials of now", async (t) => {
    let token = "old";
    const { client, refused } = await serve(
      t,
      (request, response) => {
        const isGood = request.headers.authorization === "Bearer new";
        token = "new";
        response.writeHead(isGood ? 200 : 401).end("{}");
      },
      () => token,
    );
    assert.deepEqual(await client.request(list), {});
    assert.equal(refused.length, 1);
  });

  test("that nobody answers in time fails, however slowly bytes drip", async (t) => {
    const { client } = await serve(t, (_, response) => {
      const drip = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(drip));
    });
    const late = failsWith({ status: 0, reason: "Timeout", message: /nothing came for 100 ms/ });
    await assert.rejects(client.request({ ...list, timeoutMs: 100 }), late);
  });

  test("answered with garbage, or cut short, fails", async (t) => {
    const { client } = await serve(t, ({ url }, response) => {
      if (url?.endsWith("pods") === true) response.end('{"kind": ');
      else {
        response.writeHead(200, { "content-length": 100 }).write("{}");
        setTimeout(() => response.destroy(), 20);
      }
    });
    await assert.rejects(client.request(list), failsWith({ status: 0, reason: "BadAnswer" }));
    const cut = client.request({ ...list, path: "/api/v1/nodes" });
    await assert.rejects(cut, failsWith({ status: 0, reason: "ConnectionLost" }));
  });

  test("ends when its caller or the client gives it up", async (t) => {
    const { client, server } = await serve(t, () => undefined);
    const given = new AbortController();
    const first = client.request({ ...list, signal: given.signal });
    const second = client.request(list);
    await once(server, "connection");
    given.abort();
    await assert.rejects(first, failsWith({ status: 0, reason: "Aborted" }));
    client.close();
    await assert.rejects(second, failsWith({ status: 0, reason: "Closed" }));
    await assert.rejects(client.request(list), failsWith({ status: 0, reason: "Closed" }));
  });

  test("on a kept connection that the server just closed is sent again", async (t) => {
    let connections = 0;
    const { client, server } = await serve(t, (request, response) => {
      // Of the second request the connection is cut before there is any answer.
      if (request.url?.includes("second") === true && connections === 1) request.socket.destroy();
      else response.end("{}");
    });
    server.on("connection", () => connections++);
    await client.request(list);
    assert.deepEqual(await client.request({ ...list, query: { second: "1" } }), {});
    assert.equal(connections, 2);
    const post = client.request({ method: "POST", path: "/first", body: {} });
    assert.deepEqual(await post, {});
  });

  test("to nobody says that the server may not run", async (t) => {
    const { client, server } = await serve(t, () => undefined);
    server.close();
    await assert.rejects(client.request(list), (error: KubeApiError) => {
      failsWith({ status: 0, reason: "ConnectionLost", message: /ECONNREFUSED/ })(error);
      return error.hint?.includes("running") === true;
    });
  });
});

describe("a watch", () => {
  test("gives each line parsed, wherever the network cut them", async (t) => {
    const events = ["é", "b", "c".repeat(70_000)].map((name) => ({ type: "ADDED", name }));
    const bytes = Buffer.from(`${events.map((event) => JSON.stringify(event)).join("\n")}\n\n`);
    const { client } = await serve(t, async ({ url }, response) => {
      assert.equal(url, "/base/api/v1/pods?resourceVersion=7&watch=true");
      for (const [start, end] of [
        [0, 25],
        [25, 26],
        [26, 100],
        [100, bytes.length],
      ] as const) {
        response.write(bytes.subarray(start, end));
        await sleep(5);
      }
      response.end();
    });
    assert.deepEqual(
      await read(client.watch({ ...pods, query: { resourceVersion: "7" } })),
      events,
    );
  });

  test("that ends within a line, or says garbage, fails after what was whole", async (t) => {
    let rest = '{"half": ';
    const { client } = await serve(t, (_, response) => response.end(`{"n":1}\n${rest}`));
    for (const reason of ["ConnectionLost", "BadAnswer"]) {
      const seen: unknown[] = [];
      const reading = async (): Promise<void> => {
        for await (const event of client.watch(pods)) seen.push(event);
      };
      await assert.rejects(reading(), failsWith({ status: 0, reason }));
      assert.deepEqual(seen, [{ n: 1 }]);
      rest = "garbage\n";
    }
  });

  test("with a line that does not end is cut off at the bound", async (t) => {
    const { client } = await serve(t, (_, response) => {
      const chunk = Buffer.alloc(1024 * 1024, "x");
      for (let bytes = 0; bytes <= WATCH_LINE_BYTES; bytes += chunk.length) response.write(chunk);
    });
    const tooLong = failsWith({ status: 0, reason: "ConnectionLost", message: /longer than/ });
    await assert.rejects(read(client.watch(pods)), tooLong);
  });

  test("that brings no whole line for too long is taken for dead", async (t) => {
    const { client } = await serve(t, (_, response) => {
      response.write('{"n":1}\n');
      const drip = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(drip));
    });
    const late = failsWith({ status: 0, reason: "Timeout" });
    await assert.rejects(read(client.watch({ ...pods, idleTimeoutMs: 150 })), late);
  });

  test("that is read no further ends its connection", async (t) => {
    const { client, server } = await serve(t, (_, response) => response.write('{"n":1}\n'));
    const connected = once(server, "connection");
    for await (const event of client.watch(pods)) {
      assert.deepEqual(event, { n: 1 });
      break;
    }
    const [socket] = await connected;
    if (!socket.destroyed) await once(socket, "close");
  });

  test("that is refused says why", async (t) => {
    const { client } = await serve(t, (_, response) => response.writeHead(410).end("{}"));
    await assert.rejects(read(client.watch(pods)), failsWith({ status: 410, reason: "Expired" }));
  });
});

test("objects are applied, read and deleted at their paths", async (t) => {
  const asked: string[] = [];
  const { client } = await serve(t, async (request, response) => {
    const body = await bodyOf(request);
    asked.push(`${request.method} ${request.url} ${request.headers["content-type"]} ${body}`);
    response.writeHead(request.method === "PATCH" ? 200 : 404).end("{}");
  });
  const lease = { kind: "Lease", namespace: "istio-system", name: "a b" };
  const object = { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } };
  await applyObject(client, object, "istiod-lite");
  assert.equal(await getObject(client, lease), undefined);
  assert.equal(await deleteObject(client, lease, { uid: "u" }), false);
  const leasePath = "/base/apis/coordination.k8s.io/v1/namespaces/istio-system/leases/a%20b";
  assert.match(
    asked[0] ?? "",
    /^PATCH \/base\/api\/v1\/namespaces\/shop\?fieldManager=istiod-lite&/,
  );
  assert.match(asked[0] ?? "", /application\/apply-patch\+yaml/);
  assert.equal(asked[1], `GET ${leasePath} undefined `);
  assert.ok(asked[2]?.startsWith(`DELETE ${leasePath} `));
  assert.match(asked[2] ?? "", /"preconditions":\{"uid":"u"\}/);
  for (const name of ["", ".", ".."]) {
    assert.throws(() => getObjectPath(name), { code: "KUBE_REFERENCE" });
  }
  function getObjectPath(name: string): unknown {
    return applyObject(client, { ...object, metadata: { name } }, "m");
  }
});
