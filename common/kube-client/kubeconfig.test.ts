/** Connections that kubeconfigs and service accounts describe, against a real HTTPS server. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { stringify } from "yaml";
import { connectInCluster } from "#common/kube-client/in-cluster.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import {
  connectKubeconfig,
  type KubeconfigOptions,
  kubeconfigContext,
} from "#common/kube-client/kubeconfig.ts";
import { CREDENTIAL_RECHECK_MS } from "#common/kube-client/limits.ts";
import {
  base64,
  SERVER_NAME,
  type Seen,
  TlsServerFixture,
} from "#common/kube-client/tls-server-fixture.ts";
import type { MeshError } from "#common/runtime/errors.ts";

const ask = async (client: KubeClient): Promise<Seen> =>
  (await client.request({ method: "GET", path: "/" })) as Seen;

function connect(t: TestContext, options: KubeconfigOptions): KubeClient {
  const client = connectKubeconfig(options);
  t.after(() => client.close());
  return client;
}

describe("a user", () => {
  test("has a token, as text or in a file that is read again, and may be somebody else", async (t) => {
    const server = await TlsServerFixture.start(t);
    const path = server.kubeconfig({ token: "secret", as: "jane" });
    const seen = await ask(connect(t, { path }));
    assert.deepEqual(seen, { authorization: "Bearer secret", impersonated: "jane" });
    let nowMs = 0;
    server.write("token", "first\n");
    const config = server.kubeconfig({ tokenFile: "token" });
    const client = connect(t, { path: config, now: () => nowMs });
    assert.equal((await ask(client)).authorization, "Bearer first");
    server.write("token", "second");
    assert.equal((await ask(client)).authorization, "Bearer first");
    nowMs += CREDENTIAL_RECHECK_MS;
    assert.equal((await ask(client)).authorization, "Bearer second");
    server.write("token", "third");
    server.refuses = ({ authorization }) => authorization !== "Bearer third";
    assert.equal((await ask(client)).authorization, "Bearer third");
  });

  test("has a certificate, as data or in files that are rotated one after the other", async (t) => {
    const server = await TlsServerFixture.start(t);
    const [first, second] = [server.authority.workload(), server.authority.workload()];
    const data = {
      "client-certificate-data": base64(first.certChainPem),
      "client-key-data": base64(first.privateKeyPem),
    };
    assert.equal((await ask(connect(t, { path: server.kubeconfig(data) }))).serial, first.serial);
    let nowMs = 0;
    server.write("tls.crt", first.certChainPem);
    server.write("tls.key", first.privateKeyPem);
    const files = { "client-certificate": "tls.crt", "client-key": "tls.key" };
    const client = connect(t, { path: server.kubeconfig(files), now: () => nowMs });
    assert.equal((await ask(client)).serial, first.serial);
    server.write("tls.crt", second.certChainPem);
    nowMs += CREDENTIAL_RECHECK_MS;
    assert.equal((await ask(client)).serial, first.serial);
    server.write("tls.key", second.privateKeyPem);
    nowMs += CREDENTIAL_RECHECK_MS;
    assert.equal((await ask(client)).serial, second.serial);
  });
});

describe("a cluster", () => {
  test("is trusted by its CA alone, by another name where told, or not looked at", async (t) => {
    const server = await TlsServerFixture.start(t);
    const named = { "tls-server-name": SERVER_NAME };
    assert.deepEqual(await ask(connect(t, { path: server.kubeconfig({}, named) })), {});
    const otherName = server.kubeconfig({}, { "tls-server-name": "other.example.com" });
    await assert.rejects(ask(connect(t, { path: otherName })), /other\.example\.com/);
    const ca = { "certificate-authority-data": undefined };
    const untrusted = server.kubeconfig({}, ca);
    await assert.rejects(ask(connect(t, { path: untrusted })), (error: MeshError) => {
      assert.match(error.hint ?? "", /not trusted/);
      return true;
    });
    const skip = server.kubeconfig({}, { ...ca, "insecure-skip-tls-verify": true });
    assert.deepEqual(await ask(connect(t, { path: skip })), {});
  });
});

describe("a kubeconfig", () => {
  test("may be several files, of which the first that names something counts", async (t) => {
    const server = await TlsServerFixture.start(t);
    const first = server.kubeconfig({ token: "one" });
    const users = [
      { name: "test", user: { token: "two" } },
      { name: "b", user: { token: "b" } },
    ];
    const context = { cluster: "test", user: "b", namespace: "shop" };
    const second = server.write(
      "more",
      stringify({ "current-context": "other", users, contexts: [{ name: "other", context }] }),
    );
    const env = { KUBECONFIG: `${server.path("none")}:${first}:${second}` };
    assert.equal((await ask(connect(t, { env }))).authorization, "Bearer one");
    assert.deepEqual(kubeconfigContext({ env }), { name: "test", namespace: "default" });
    const other = await ask(connect(t, { env, context: "other" }));
    assert.equal(other.authorization, "Bearer b");
    assert.equal(kubeconfigContext({ env, context: "other" }).namespace, "shop");
  });

  const refusals: readonly [why: RegExp, user: object, cluster?: object, context?: object][] = [
    [/proxy-url .* not supported/, {}, { "proxy-url": "http://proxy:3128" }],
    [/auth-provider .* not supported/, { "auth-provider": { name: "oidc" } }],
    [/password .* not supported/, { username: "a", password: "b" }],
    [/groups .* not supported/, { as: "jane", "as-groups": ["a"] }],
    [/half of a client certificate/, { "client-certificate": "tls.crt" }],
    [/insecure-skip-tls-verify and a CA/, {}, { "insecure-skip-tls-verify": true }],
    [/in the clear/, { token: "t" }, { server: "http://example.com" }],
    [/is no address/, {}, { server: "ftp://example.com" }],
    [/names cluster "none"/, {}, {}, { cluster: "none" }],
    [/names user "none"/, {}, {}, { user: "none" }],
    [/token of "test" must be text/, { token: 12345 }],
    [/exec of test has no command/, { exec: { apiVersion: "client.authentication.k8s.io/v1" } }],
    [/exec of test is of apiVersion "v9"/, { exec: { apiVersion: "v9", command: "a" } }],
    [/must be a map/, { exec: "command" }],
  ];
  for (const [why, user, cluster, context] of refusals) {
    test(`is refused aloud where ${why.source}`, async (t) => {
      const server = await TlsServerFixture.start(t);
      const path = server.kubeconfig(user, cluster, context);
      assert.throws(
        () => connectKubeconfig({ path }),
        (error: MeshError) => {
          assert.equal(error.code, "KUBECONFIG");
          assert.match(error.message, why);
          return error.hint !== undefined && error.hint !== "";
        },
      );
    });
  }

  test("that is none is refused with what to do", async (t) => {
    const server = await TlsServerFixture.start(t);
    const wrong = (options: KubeconfigOptions, why: RegExp): void =>
      assert.throws(() => connectKubeconfig(options), { code: "KUBECONFIG", message: why });
    wrong({ path: server.path("none") }, /cannot be read: ENOENT/);
    wrong({ path: server.write("a", "a: [") }, /cannot be read/);
    wrong({ path: server.write("b", "- 1") }, /is no kubeconfig/);
    wrong({ path: server.write("c", "kind: Pod") }, /of kind "Pod"/);
    wrong({ path: server.write("d", "users: [1]") }, /must be a list of name and user/);
    wrong({ path: server.write("e", "") }, /no context is the current one/);
    wrong({ path: server.kubeconfig({}), context: "x" }, /no context "x"/);
    wrong({ env: { HOME: server.folder } }, /\.kube\/config cannot be read/);
  });
});

test("a pod connects with its token and its cluster's CA, both read again", async (t) => {
  const server = await TlsServerFixture.start(t);
  let nowMs = 0;
  const { hostname, port } = new URL(server.url);
  const env = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
  const client = connectInCluster({ env, folder: server.folder, now: () => nowMs });
  t.after(() => client.close());
  await assert.rejects(ask(client), /token cannot be read|ca.crt cannot be read/);
  server.write("ca.crt", server.authority.rootsPem);
  server.write("token", "one");
  assert.equal((await ask(client)).authorization, "Bearer one");
  server.write("ca.crt", await server.change());
  await assert.rejects(ask(client));
  nowMs += CREDENTIAL_RECHECK_MS;
  assert.equal((await ask(client)).authorization, "Bearer one");
  assert.throws(() => connectInCluster({ env: {} }), { code: "KUBE_NOT_IN_CLUSTER" });
});
