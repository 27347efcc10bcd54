import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { createLogger } from "#common/telemetry/logger.ts";
import { TestAuthority } from "#common/tls/authority-fixture.ts";
import { certificatePem } from "#common/tls/write-certificate.ts";
import { LiveAuthority } from "#istiod-lite/ca/live-authority.ts";
import { CaSecrets } from "./ca-secrets.ts";
import { failure, WritableServerFixture } from "./write/writable-server-fixture.ts";

const SECRETS = "/api/v1/namespaces/istio-system/secrets";
const PATH = { own: `${SECRETS}/istio-ca-secret`, pluggedIn: `${SECRETS}/cacerts` };

function replica(t: TestContext, server: WritableServerFixture) {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const logger = createLogger({ level: "info", format: "text", write });
  const options = { namespace: "istio-system", trustDomain: "cluster.local" };
  const { signal } = new AbortController();
  const store = new CaSecrets(options, { client: server.client(t), logger, signal });
  return { lines, load: () => LiveAuthority.load({ store, logger }) };
}

function secret(name: string, texts: Readonly<Record<string, string>>): object {
  const data = Object.entries(texts).map(([key, text]) => [key, btoa(text)]);
  const metadata = { name, namespace: "istio-system" };
  return { apiVersion: "v1", kind: "Secret", metadata, data: Object.fromEntries(data) };
}

function keyOf(ca: TestAuthority): string {
  return ca.issuer.privateKey.export({ format: "pem", type: "pkcs8" }).toString();
}

function pluggedIn(ca: TestAuthority): object {
  return secret("cacerts", {
    "ca-cert.pem": certificatePem(ca.issuer.certificate),
    "ca-key.pem": keyOf(ca),
    "root-cert.pem": ca.rootsPem,
    "cert-chain.pem": ca.intermediates.map(certificatePem).join(""),
  });
}

describe("the CA in Secrets", () => {
  it("is made once by replicas that start together, and the same after a restart", async (t) => {
    const server = await WritableServerFixture.start(t);
    const all = [replica(t, server), replica(t, server), replica(t, server)];
    const [first, ...others] = await Promise.all(all.map(({ load }) => load()));
    others.push(await replica(t, server).load());
    for (const other of others) assert.equal(other.current.rootsPem, first?.current.rootsPem);
    assert.equal(server.get(PATH.own)?.kind, "Secret");
    assert.equal((server.get(PATH.own) as { readonly type?: string }).type, "istio.io/ca-root");
    assert.ok(server.takeWrites().every((line) => line.startsWith("POST ")));
  });

  it("is whatever an istiod left there, with the roots that are being replaced", async (t) => {
    const server = await WritableServerFixture.start(t);
    const ca = TestAuthority.root();
    const old = TestAuthority.root();
    server.put(
      PATH.own,
      secret("istio-ca-secret", {
        "ca-cert.pem": certificatePem(ca.issuer.certificate),
        "ca-key.pem": keyOf(ca),
        "root-cert.pem": ca.rootsPem + old.rootsPem,
      }),
    );
    const { current } = await replica(t, server).load();
    assert.equal(current.rootsPem, ca.rootsPem + old.rootsPem);
  });

  it("is the plugged-in one where there is one, from the moment on that it is there", async (t) => {
    const server = await WritableServerFixture.start(t);
    const live = await replica(t, server).load();
    let changes = 0;
    live.onChange(() => changes++);
    const ca = TestAuthority.root().intermediate();
    server.put(PATH.pluggedIn, pluggedIn(ca));
    await live.check();
    await live.check();
    assert.deepEqual([changes, live.current.rootsPem], [1, ca.rootsPem]);
  });

  it("may be plugged in as cert-manager makes it", async (t) => {
    const server = await WritableServerFixture.start(t);
    const ca = TestAuthority.root().intermediate();
    const chain = [ca.issuer.certificate, ...ca.intermediates].map(certificatePem).join("");
    const texts = { "tls.crt": chain, "tls.key": keyOf(ca), "ca.crt": ca.rootsPem };
    server.put(PATH.pluggedIn, secret("cacerts", texts));
    assert.equal((await replica(t, server).load()).current.rootsPem, ca.rootsPem);
  });

  it("stays in force while its Secret is broken, gone, or the API server away", async (t) => {
    const server = await WritableServerFixture.start(t);
    const { lines, load } = replica(t, server);
    const live = await load();
    const { rootsPem } = live.current;
    const { data, ...rest } = server.get(PATH.own) as unknown as { data: Record<string, string> };
    const look = async (): Promise<void> => {
      await live.check();
      await live.check();
      assert.equal(live.current.rootsPem, rootsPem);
    };
    server.put(PATH.own, { ...rest, data: { ...data, "ca-key.pem": btoa("no key") } });
    await look();
    assert.match(lines.join(""), /istio-ca-secret, ca-key.pem cannot be used/);
    server.remove(PATH.own);
    await look();
    assert.equal(server.get(PATH.own), undefined, "nobody makes another root meanwhile");
    server.answer = () => failure(503, "ServiceUnavailable");
    await look();
  });

  it("waits for an API server that is not there yet", async (t) => {
    const server = await WritableServerFixture.start(t);
    let refusals = 2;
    server.answer = () => (refusals-- > 0 ? failure(503, "ServiceUnavailable") : undefined);
    const { lines, load } = replica(t, server);
    await load();
    assert.equal(lines.filter((line) => line.includes("cannot be read or made")).length, 2);
  });

  it("that is incomplete is refused with what it lacks", async (t) => {
    const server = await WritableServerFixture.start(t);
    server.put(PATH.pluggedIn, secret("cacerts", { "ca-cert.pem": "x" }));
    const message = /Secret istio-system\/cacerts lacks ca-key.pem, root-cert.pem, cert-chain.pem/;
    await assert.rejects(replica(t, server).load(), { code: "CA_FILES_INCOMPLETE", message });
  });
});
