/** Credentials by exec plugins: real programs, good ones and bad ones. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { connectKubeconfig } from "#common/kube-client/kubeconfig.ts";
import { EXEC_EARLY_MS, EXEC_OUTPUT_BYTES, EXEC_RETRY_MS } from "#common/kube-client/limits.ts";
import { type Seen, TlsServerFixture } from "#common/kube-client/tls-server-fixture.ts";
import { describeError } from "#common/runtime/errors.ts";

const V1 = "client.authentication.k8s.io/v1";

const ask = async (client: KubeClient): Promise<Seen> =>
  (await client.request({ method: "GET", path: "/" })) as Seen;

/** A plugin that runs this shell script, which counts its runs in the file `runs`. */
async function withPlugin(
  t: TestContext,
  script: string,
  more: object = {},
  execTimeoutMs = 60_000,
) {
  const server = await TlsServerFixture.start(t);
  const runs = server.path("runs");
  server.write("plugin", `#!/bin/sh\necho >> ${runs}\n${script}\n`);
  chmodSync(server.path("plugin"), 0o755);
  const exec = { apiVersion: V1, command: "./plugin", ...more };
  const clock = { nowMs: Date.parse("2026-01-01T00:00:00Z") };
  const client = connectKubeconfig({
    path: server.kubeconfig({ exec }),
    env: { ...process.env },
    now: () => clock.nowMs,
    execTimeoutMs,
  });
  t.after(() => client.close());
  const count = (): number => (existsSync(runs) ? readFileSync(runs, "utf8").length : 0);
  return { server, client, clock, count };
}

function say(status: object, apiVersion = V1): string {
  return `cat <<'END'\n${JSON.stringify({ apiVersion, kind: "ExecCredential", status })}\nEND`;
}

test("a plugin gives a token, once until it expires or is refused", async (t) => {
  const expirationTimestamp = "2026-01-01T00:10:00Z";
  const { client, clock, count, server } = await withPlugin(
    t,
    say({ token: "t", expirationTimestamp }),
  );
  const all = await Promise.all([ask(client), ask(client), ask(client)]);
  assert.deepEqual(
    all.map(({ authorization }) => authorization),
    Array(3).fill("Bearer t"),
  );
  assert.equal(count(), 1);
  clock.nowMs = Date.parse(expirationTimestamp) - EXEC_EARLY_MS;
  await ask(client);
  assert.equal(count(), 2);
  clock.nowMs = Date.parse("2026-01-01T00:00:00Z");
  server.refuses = () => true;
  await assert.rejects(ask(client), { status: 401 });
  assert.equal(count(), 3);
});

test("a plugin is told of the cluster, with its own arguments and environment", async (t) => {
  const script = 'printf "%s|%s|%s" "$1" "$EXTRA" "$KUBERNETES_EXEC_INFO" > "$OUT"';
  const more = { args: ["get-token"], provideClusterInfo: true };
  const server = await TlsServerFixture.start(t);
  const out = server.path("out");
  const env = [
    { name: "EXTRA", value: "x" },
    { name: "OUT", value: out },
  ];
  const { client } = await withPlugin(t, `${script}\n${say({ token: "t" })}`, { ...more, env });
  await ask(client);
  const [argument, extra, info = ""] = readFileSync(out, "utf8").split("|");
  assert.deepEqual([argument, extra], ["get-token", "x"]);
  const { apiVersion, spec } = JSON.parse(info);
  assert.equal(apiVersion, V1);
  assert.equal(spec.interactive, false);
  assert.match(spec.cluster.server, /^https:\/\/localhost/);
});

test("a plugin gives a certificate", async (t) => {
  const { server, client } = await withPlugin(t, 'cat "$(dirname "$0")/answer"');
  const { certChainPem, privateKeyPem, serial } = server.authority.workload();
  const status = { clientCertificateData: certChainPem, clientKeyData: privateKeyPem };
  const answer = { apiVersion: V1, kind: "ExecCredential", status };
  server.write("answer", JSON.stringify(answer));
  assert.equal((await ask(client)).serial, serial);
});

const failures: readonly [name: string, script: string, why: RegExp][] = [
  ["fails", "echo 'no login' >&2; exit 3", /ended with 3: no login/],
  ["says nothing", "true", /no JSON/],
  ["says garbage", "echo '{'", /no JSON/],
  ["says a list", "echo '[]'", /no object/],
  ["says another kind", 'echo \'{"kind":"Pod"}\'', /not client\.authentication/],
  ["gives nothing", say({}), /no token or certificate/],
  ["gives half a key pair", say({ clientCertificateData: "x" }), /half of a key pair/],
  ["expires never or ever", say({ token: "t", expirationTimestamp: "soon" }), /is no time/],
  ["says too much", `head -c ${EXEC_OUTPUT_BYTES + 1} /dev/zero`, /more than \d+ bytes/],
  ["does not end", "exec sleep 60", /did not end within/],
];
for (const [name, script, why] of failures) {
  test(`a plugin that ${name} fails the request, and is not run again at once`, async (t) => {
    const more = { installHint: "install it" };
    const patienceMs = name === "does not end" ? 1_000 : undefined;
    const { client, clock, count } = await withPlugin(t, script, more, patienceMs);
    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(ask(client), (error) => {
        assert.match(describeError(error), why);
        return true;
      });
    }
    assert.equal(count(), 1);
    clock.nowMs += EXEC_RETRY_MS;
    await assert.rejects(ask(client));
    assert.equal(count(), 2);
  });
}
