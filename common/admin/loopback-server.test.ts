import assert from "node:assert/strict";
import { request } from "node:http";
import { networkInterfaces } from "node:os";
import { after, test } from "node:test";
import type { RunningServer } from "#common/runtime/http-server.ts";
import { serveOnLoopback } from "./loopback-server.ts";

let server: RunningServer | undefined;
after(() => server?.close());

async function ask(host: string, headers: Record<string, string> = {}): Promise<string> {
  server ??= await serveOnLoopback(0, () => ({ status: 200, body: "yes" }));
  const { port } = server;
  return new Promise((resolve) => {
    const outgoing = request({ host, port, headers, agent: false }, (response) => {
      response.resume();
      resolve(String(response.statusCode));
    });
    outgoing.on("error", (error) => resolve("code" in error ? String(error.code) : "error"));
    outgoing.end();
  });
}

test("both loopback addresses answer, no other address of this machine does", async () => {
  assert.equal(await ask("127.0.0.1"), "200");
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  if (all.some(({ address }) => address === "::1")) assert.equal(await ask("::1"), "200");
  const outside = all.filter(({ internal, family }) => !internal && family === "IPv4");
  for (const { address } of outside) assert.equal(await ask(address), "ECONNREFUSED");
});

test("a name that somebody else made to resolve here is refused", async () => {
  for (const host of ["localhost", "localhost:15000", "127.0.0.1:1", "[::1]:15000", "LOCALHOST"]) {
    assert.equal(await ask("127.0.0.1", { host }), "200", host);
  }
  const names = ["evil.example", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example"];
  for (const host of names) assert.equal(await ask("127.0.0.1", { host }), "403", host);
});

test("a web page of elsewhere is refused, one of this machine is not", async () => {
  for (const origin of ["http://evil.example", "null", "", "http://localhost.evil.example"]) {
    assert.equal(await ask("127.0.0.1", { origin }), "403", origin);
  }
  assert.equal(await ask("127.0.0.1", { origin: "http://localhost:8080" }), "200");
});
