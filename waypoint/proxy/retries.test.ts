import assert from "node:assert/strict";
import type http from "node:http";
import net from "node:net";
import { afterEach, describe, test } from "node:test";
import type { Retry } from "#common/model/waypoint/http-route.ts";
import { ProxyFixture, type ProxyOptions } from "./proxy-fixture.ts";
import { call, until } from "./test-client.ts";

let fixture: ProxyFixture;
async function start(options: ProxyOptions = {}): Promise<ProxyFixture> {
  fixture = await ProxyFixture.start(options);
  return fixture;
}
afterEach(async () => {
  await until(() => fixture.isIdle);
  fixture.stop();
});

function retry(conditions: Retry["conditions"], fields: Partial<Retry> = {}): Retry {
  return { attempts: 2, conditions, codes: [], backoffMs: 1, backoffMaxMs: 5, ...fields };
}

/** Answers with these statuses in turn, then with 200. */
function statuses(...list: readonly number[]): http.RequestListener {
  const left = [...list];
  return (request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(left.shift() ?? 200).end(request.method));
  };
}

/** Takes a request's first bytes, then resets the connection. */
function resetting(seen: { count: number }): net.Server {
  return net.createServer((socket) => {
    socket.on("data", () => {
      seen.count++;
      socket.resetAndDestroy();
    });
  });
}

describe("a response that the route lists is tried again", () => {
  const rows: readonly (readonly [Retry["conditions"], number, Partial<Retry>])[] = [
    [["5xx"], 500, {}],
    [["gateway-error"], 503, {}],
    [["retriable-4xx"], 409, {}],
    [["retriable-status-codes"], 418, { codes: [418] }],
  ];
  for (const [conditions, status, fields] of rows) {
    test(`${conditions}: ${status}, whatever the method and with its body`, async () => {
      await start();
      fixture.route({ retry: retry(conditions, fields) });
      const bodies: string[] = [];
      const answer = statuses(status);
      await fixture.startPod((request, response) => {
        let body = "";
        request.on("data", (chunk: Buffer) => {
          body += chunk;
        });
        request.on("end", () => bodies.push(body));
        answer(request, response);
      });
      const given = await call(fixture.port, { method: "POST", body: "once more" });
      assert.deepEqual([given.status, given.body], [200, "POST"]);
      assert.deepEqual(bodies, ["once more", "once more"]);
      const record = await fixture.record();
      assert.deepEqual([record.attempts, record.flags], [2, []]);
    });
  }

  test("but what it does not list is not", async () => {
    await start();
    fixture.route({ retry: retry(["gateway-error", "retriable-status-codes"], { codes: [418] }) });
    await fixture.startPod(statuses(500));
    assert.equal((await call(fixture.port)).status, 500);
    assert.equal((await fixture.record()).attempts, 1);
  });

  test("as often as it says, and the last goes to the client", async () => {
    await start();
    fixture.route({ retry: retry(["5xx"]) });
    await fixture.startPod(statuses(500, 501, 502, 503));
    assert.equal((await call(fixture.port)).status, 502);
    const record = await fixture.record();
    assert.deepEqual([record.attempts, record.flags], [3, ["URX"]]);
  });

  test("but not by default, and never with a body that was too long to keep", async () => {
    await start();
    await fixture.startPod(statuses(503, 503));
    assert.equal((await call(fixture.port)).status, 503);
    fixture.route({ retry: retry(["5xx"]) });
    const body = "x".repeat(300_000);
    assert.equal((await call(fixture.port, { method: "PUT", body })).status, 503);
    assert.equal((await fixture.record()).attempts, 1);
    assert.equal((await fixture.record()).attempts, 1);
  });
});

describe("an endpoint that cannot be reached", () => {
  test("is passed over for another by default, whatever the method", async () => {
    await start();
    await fixture.startPod(statuses());
    for (const last of [201, 202, 203]) fixture.addPod(`127.0.3.${last}`, 9);
    for (let i = 0; i < 10; i++) {
      const answer = await call(fixture.port, { method: "POST", body: "x" });
      const { attempts, flags } = await fixture.record();
      assert.ok(answer.status === 200 || attempts === 3, `${answer.status} after ${attempts}`);
      assert.ok(answer.status === 200 || flags.includes("UF"));
    }
  });

  test("is not tried twice by one request", async () => {
    await start();
    await fixture.startPod(statuses());
    fixture.addPod("127.0.3.201", 9);
    fixture.addPod("127.0.3.202", 9);
    for (let i = 0; i < 10; i++) assert.equal((await call(fixture.port)).status, 200);
  });
});

describe("a connection that is reset after the request was sent", () => {
  test("is tried again for an idempotent method where the route says so", async () => {
    await start();
    fixture.route({ retry: retry(["reset"]) });
    const seen = { count: 0 };
    await fixture.startServer(resetting(seen));
    for (const method of ["GET", "PUT", "DELETE"]) {
      assert.equal((await call(fixture.port, { method })).status, 503);
      assert.equal((await fixture.record()).attempts, 3);
    }
    assert.equal(seen.count, 9);
  });

  test("is never for POST and PATCH, whatever the route says", async () => {
    await start();
    const seen = { count: 0 };
    await fixture.startServer(resetting(seen));
    for (const conditions of [["reset"], ["5xx"], ["gateway-error", "connect-failure"]] as const) {
      fixture.route({ retry: retry(conditions) });
      for (const method of ["POST", "PATCH"]) {
        assert.equal((await call(fixture.port, { method })).status, 503);
        assert.equal((await fixture.record()).attempts, 1);
      }
    }
    assert.equal(seen.count, 6);
  });

  test("and had been kept for long is replaced, for an idempotent method", async () => {
    await start();
    await fixture.startServer(closingAfterFirst());
    assert.equal((await call(fixture.port)).status, 200);
    await until(() => fixture.isIdle);
    assert.equal((await call(fixture.port)).status, 200);
    await until(() => fixture.isIdle);
    assert.equal((await call(fixture.port, { method: "POST" })).status, 503);
  });
});

/** Of each connection: answers one request, and resets at the second. */
function closingAfterFirst(): net.Server {
  return net.createServer((socket) => {
    let requests = 0;
    socket.on("data", () => {
      if (++requests > 1) socket.resetAndDestroy();
      else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
  });
}

describe("a timeout", () => {
  /** What is answered at once is, within this, on a busy machine too. */
  const IN_TIME_MS = 500;

  test("of a try leads to another, of the whole to 504", async () => {
    await start();
    fixture.route({ retry: retry(["5xx"], { perTryTimeoutMs: IN_TIME_MS }) });
    let count = 0;
    await fixture.startPod((_, response) => {
      if (++count > 1) response.end("late");
    });
    assert.equal((await call(fixture.port)).body, "late");
    assert.equal((await fixture.record()).attempts, 2);
    count = -10;
    fixture.route({ retry: retry(["5xx"], { perTryTimeoutMs: 50, attempts: 1 }) });
    assert.equal((await call(fixture.port)).status, 504);
    assert.deepEqual((await fixture.record()).reason, "upstream-timeout");
    fixture.route({ timeoutMs: 50 });
    assert.equal((await call(fixture.port)).status, 504);
    const record = await fixture.record();
    assert.deepEqual([record.reason, record.flags], ["request-timeout", ["UT"]]);
  });

  test("of the whole in the middle of the response resets the client", async () => {
    await start();
    fixture.route({ timeoutMs: IN_TIME_MS });
    await fixture.startPod((_, response) => void response.write("part"));
    await assert.rejects(call(fixture.port));
    assert.equal((await fixture.record()).reason, "request-timeout");
  });

  test("of a try of POST is not tried again", async () => {
    await start();
    fixture.route({ retry: retry(["5xx"], { perTryTimeoutMs: IN_TIME_MS }) });
    let count = 0;
    await fixture.startPod(() => count++);
    assert.equal((await call(fixture.port, { method: "POST", body: "x" })).status, 504);
    assert.equal(count, 1);
  });
});

test("retries are bounded over all requests of a backend", async () => {
  await start();
  fixture.policy({ connectionPool: { maxRetries: 1 } });
  fixture.route({ retry: retry(["5xx"], { backoffMs: 200, backoffMaxMs: 200, attempts: 1 }) });
  await fixture.startPod((_, response) => response.writeHead(503).end());
  await Promise.all(Array.from({ length: 8 }, () => call(fixture.port)));
  await until(() => fixture.records.length === 8);
  const retried = fixture.records.filter(({ attempts }) => attempts > 1).length;
  assert.ok(retried >= 1 && retried < 8, `${retried}`);
  assert.ok(fixture.records.some(({ flags }) => flags.includes("UO")));
});
