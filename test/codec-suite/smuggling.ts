/** Sends the smuggling corpus through an engine, and looks at what its upstream was sent. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Forwarder } from "#waypoint/http/engine.ts";
import { type Bench, check, onBench } from "./check.ts";
import type { RawConnection } from "./raw-connection.ts";
import { type Outcome, SMUGGLING_CORPUS, type SmugglingCase } from "./smuggling-corpus.ts";
import { type Reading, wholeRequests } from "./whole-requests.ts";

const PROBE = "GET /probe HTTP/1.1\r\nHost: a\r\n\r\n";

/**
 * `strict`: each case has the corpus' very outcome. Else an engine may be stricter than that, or
 * pass on as one request what is one, or as two what RFC 9112 has as two; but nothing is ever
 * smuggled.
 */
export function smugglingSuite(
  name: string,
  make: () => Forwarder,
  { strict = true }: { readonly strict?: boolean } = {},
): void {
  describe(`${name}: request smuggling`, { concurrency: 8, timeout: 120_000 }, () => {
    for (const each of SMUGGLING_CORPUS) {
      test(`${each.outcome}: ${each.name}`, () =>
        onBench(
          make,
          check(each.name, (bench) => tryOut(bench, each, strict), {
            // A body that goes on for ever, where the engine does not refuse it.
            limits: strict ? {} : { bodyTimeoutMs: 1_000 },
          }),
        ));
    }
  });
}

async function tryOut(bench: Bench, each: SmugglingCase, strict: boolean): Promise<void> {
  bench.upstream.onConnection = (connection) => void answerAll(connection);
  const client = await bench.open();
  client.write(each.bytes);
  if (!strict) await client.wait(() => client.ended || client.received !== "", "an answer");
  else if (each.outcome === "two") await client.until(/^HTTP.*\r\n\r\nyes.*\r\n\r\nyes/s);
  else if (each.outcome === "one") await client.until(/\r\n\r\n(yes)?/);
  else await client.rest();
  client.write(PROBE);
  await client.wait(
    () => client.ended || client.closed || client.received.endsWith("probed"),
    "the probe's answer, or the end",
  );
  const readings = bench.upstream.connections.map(({ received }) => wholeRequests(received));
  const lines = readings.flatMap(({ whole }) => whole.map(({ line }) => line));
  if (!strict && each.lawful) return;
  assert.ok(!lines.includes("GET /smuggled"), `smuggled: ${lines}`);
  const seen = outcomeOf(client, readings);
  // What is refused before anything passed on is all the better.
  const expected = each.outcome === "cut" && seen === "refused" ? seen : each.outcome;
  if (strict) assert.equal(seen, expected, JSON.stringify([client.received, readings]));
  else assert.ok(seen === each.outcome || seen !== "two", seen);
}

function outcomeOf(client: RawConnection, readings: readonly Reading[]): Outcome {
  const count = readings.flatMap(({ whole }) => whole).filter(({ line }) => !isProbe(line)).length;
  if (count > 0) return count === 1 ? "one" : "two";
  const silent = readings.every(({ rest }) => rest === "");
  return silent && /^HTTP\/1\.1 4\d\d /.test(client.received) ? "refused" : "cut";
}

function isProbe(line: string): boolean {
  return line === "GET /probe";
}

async function answerAll(connection: RawConnection): Promise<void> {
  let answered = 0;
  while (!connection.closed && !connection.ended) {
    const { whole } = wholeRequests(connection.received);
    for (; answered < whole.length; answered++) {
      const text = isProbe(whole[answered]?.line ?? "") ? "probed" : "yes";
      connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`);
    }
    const before = connection.received.length;
    const more = (): boolean =>
      connection.received.length > before || connection.closed || connection.ended;
    await connection.wait(more, "more").catch(() => undefined);
  }
}
