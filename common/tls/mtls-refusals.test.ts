import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import tls from "node:tls";
import { makeIdentity } from "#common/model/identity.ts";
import { TEST_IDENTITY, TestAuthority } from "./authority-fixture.ts";
import { ca, connect, good, listen, refused, TD } from "./handshake-fixture.ts";
import {
  createWorkloadSecureContext,
  mtlsClientOptions,
  mtlsServerOptions,
} from "./mtls-options.ts";
import { describeHandshakeFailure } from "./verify-peer.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";

test("a client without a certificate is refused before it is a connection", async () => {
  const clientOptions = { secureContext: tls.createSecureContext({ ca: ca.rootsPem }) };
  const { server, received } = await connect({ clientOptions });
  refused(server, "tls-failed", /certificate/);
  assert.equal(received, "");
});

const REFUSED_BY_OPENSSL: readonly [string, WorkloadCertificate, RegExp][] = [
  [
    "of another CA",
    withOurRoots(TestAuthority.root().workload()),
    /VERIFY|ISSUER|SIGNATURE|certificate/,
  ],
  ["that has expired", ca.workload({ notAfter: new Date(Date.now() - 1000) }), /EXPIRED|expired/],
  [
    "that is not valid yet",
    ca.workload({ notBefore: new Date(Date.now() + 600_000) }),
    /NOT_YET_VALID|not yet valid/,
  ],
  [
    "below an intermediate with CA:FALSE",
    ca.intermediate({ basicConstraints: { ca: false } }).workload(),
    /issuer is no CA|certificate signing/,
  ],
  [
    "below a leaf without basic constraints",
    ca.intermediate({ basicConstraints: undefined }).workload(),
    /issuer is no CA|certificate signing/,
  ],
  ["that is a CA", ca.workload({ basicConstraints: { ca: true } }), /INVALID_PURPOSE|purpose/],
  [
    "below an expired intermediate",
    ca.intermediate({ notAfter: new Date(Date.now() - 1000) }).workload(),
    /EXPIRED|expired/,
  ],
];

for (const [what, certificate, text] of REFUSED_BY_OPENSSL) {
  test(`a peer with a certificate ${what} is refused, on either side`, async () => {
    const asClient = await connect({ client: certificate });
    refused(asClient.server, "tls-failed", text);
    assert.equal(asClient.received, "");
    const asServer = await connect({ server: certificate });
    refused(asServer.client, "tls-failed", text);
    assert.equal(asServer.received, "");
  });
}

const names = (...uris: string[]) => uris.map((value) => ({ type: "uri", value }) as const);
const OTHER_TD = makeIdentity("other.example", "default", "test");

const REFUSED_BY_US: readonly [string, WorkloadCertificate, RegExp][] = [
  [
    "of another trust domain",
    ca.workload({ subjectAltNames: names(OTHER_TD.uri) }),
    /trust domain/,
  ],
  [
    "with two identities",
    ca.workload({ subjectAltNames: names(TEST_IDENTITY.uri, OTHER_TD.uri) }),
    /2 URI/,
  ],
  [
    "without an identity",
    ca.workload({ subjectAltNames: [], subject: { commonName: "x" } }),
    /no URI/,
  ],
  ["without key purposes", ca.workload({ keyPurposes: [] }), /extended key usage/],
];

for (const [what, certificate, text] of REFUSED_BY_US) {
  test(`a peer with a certificate ${what} is refused, on either side`, async () => {
    const asClient = await connect({ client: certificate });
    refused(asClient.server, "identity-mismatch", text);
    assert.equal(asClient.received, "");
    const asServer = await connect({ server: certificate });
    refused(asServer.client, "identity-mismatch", text);
    assert.equal(asServer.received, "");
  });
}

test("a certificate for servers alone makes no client, and the other way round", async () => {
  const serverOnly = await connect({ client: ca.workload({ keyPurposes: ["serverAuth"] }) });
  assert.ok(!serverOnly.server.ok);
  const clientOnly = await connect({ server: ca.workload({ keyPurposes: ["clientAuth"] }) });
  assert.ok(!clientOnly.client.ok);
});

test("a server of another identity than expected never gets a byte", async () => {
  const expected = new Set([makeIdentity(TD, "default", "other").uri]);
  const { client, received } = await connect({ expected });
  refused(client, "identity-mismatch", /peer is .*sa\/test, expected .*sa\/other/);
  assert.equal(received, "");
});

test("a wrong server is refused before the connection counts as secure", async () => {
  const server = await listen(mtlsServerOptions(good));
  const { port } = server.address() as AddressInfo;
  const expected = new Set([makeIdentity(TD, "default", "other").uri]);
  const options = mtlsClientOptions(createWorkloadSecureContext(good), expected, [TD]);
  const socket = tls.connect({ ...options, host: "127.0.0.1", port });
  socket.once("secureConnect", () => assert.fail("secureConnect fired"));
  const error = await new Promise<Error>((resolve) => socket.once("error", resolve));
  assert.equal(describeHandshakeFailure(error).reason, "identity-mismatch");
});

test("no expected identity at all accepts no server", async () => {
  const { client, received } = await connect({ expected: new Set() });
  refused(client, "identity-mismatch", /expected/);
  assert.equal(received, "");
});

test("a peer that OpenSSL did not verify is refused even after its handshake", async () => {
  const stranger = withOurRoots(TestAuthority.root().workload());
  const server = await connect({
    client: stranger,
    serverOptions: { rejectUnauthorized: false },
  });
  refused(server.server, "tls-failed", /refused/);
  const client = await connect({ server: stranger, clientOptions: { rejectUnauthorized: false } });
  refused(client.client, "tls-failed", /refused/);
});

function withOurRoots(certificate: WorkloadCertificate): WorkloadCertificate {
  return { ...certificate, rootsPem: ca.rootsPem };
}
