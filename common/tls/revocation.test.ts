import assert from "node:assert/strict";
import { createPublicKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import tls, { type TLSSocket } from "node:tls";
import { TestAuthority } from "./authority-fixture.ts";
import { readRevocationLists } from "./crl.ts";
import { writeCrl } from "./crl-fixture.ts";
import { EXPECTED, listen, TD } from "./handshake-fixture.ts";
import {
  createWorkloadSecureContext,
  mtlsClientOptions,
  mtlsServerOptions,
} from "./mtls-options.ts";
import { ownChainOf, type PeerChain, peerChainOf, Revocations } from "./revocation.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";
import { certificatePem, writeSelfSignedCertificate } from "./write-certificate.ts";

const leafOf = (certificate: WorkloadCertificate) => new X509Certificate(certificate.certChainPem);

/** The chains that either side sees of the other, after a real handshake. */
async function chains(
  server: WorkloadCertificate,
  client: WorkloadCertificate,
): Promise<{ ofServer: PeerChain; ofClient: PeerChain }> {
  const listener = await listen(mtlsServerOptions(server));
  const accepted = new Promise<TLSSocket>((resolve, reject) => {
    listener.once("secureConnection", resolve).once("tlsClientError", reject);
  });
  const { port } = listener.address() as AddressInfo;
  const context = createWorkloadSecureContext(client);
  const socket = tls.connect({
    ...mtlsClientOptions(context, EXPECTED, [TD]),
    host: "127.0.0.1",
    port,
  });
  socket.on("error", () => undefined);
  const [peer] = await Promise.all([accepted, once(socket, "secureConnect")]);
  try {
    return {
      ofServer: peerChainOf(socket, client.rootsPem),
      ofClient: peerChainOf(peer, server.rootsPem),
    };
  } finally {
    socket.destroy();
    peer.destroy();
    listener.close();
  }
}

function revocations(...lists: readonly Buffer[]): Revocations {
  return new Revocations(lists.flatMap((list) => readRevocationLists(list)));
}

const root = TestAuthority.root();
const below = root.intermediate();
const SHAPES: readonly [string, TestAuthority, TestAuthority][] = [
  ["below a root", root, root],
  ["below an intermediate", below, below],
  ["below different intermediates", below, root.intermediate()],
];

for (const [what, serverCa, clientCa] of SHAPES) {
  test(`D4.36 a revoked peer ${what} is known on either side, an unrevoked one passes`, async () => {
    const [server, client] = [serverCa.workload(), clientCa.workload()];
    const { ofServer, ofClient } = await chains(server, client);
    assert.equal(ofServer.length, 1 + serverCa.intermediates.length);
    assert.equal(ofClient.length, 1 + clientCa.intermediates.length);
    const noServer = revocations(writeCrl(serverCa.issuer, [leafOf(server)]));
    assert.deepEqual([noServer.hasRevoked(ofServer), noServer.hasRevoked(ofClient)], [true, false]);
    const noClient = revocations(writeCrl(clientCa.issuer, [leafOf(client)]));
    assert.deepEqual([noClient.hasRevoked(ofServer), noClient.hasRevoked(ofClient)], [false, true]);
    assert.deepEqual(
      ownChainOf(server).map(({ serial }) => serial),
      ofServer.map(({ serial }) => serial),
    );
  });
}

test("a revoked intermediate takes everybody below it along", async () => {
  const { ofClient } = await chains(root.workload(), below.workload());
  const [intermediate] = below.intermediates;
  assert.ok(intermediate);
  assert.ok(revocations(writeCrl(root.issuer, [intermediate])).hasRevoked(ofClient));
});

test("only the issuer's own list counts, whatever name and numbers another one bears", async () => {
  const client = root.workload();
  const { ofClient } = await chains(root.workload(), client);
  const namesake = TestAuthority.root();
  assert.ok(!revocations(writeCrl(namesake.issuer, [leafOf(client)])).hasRevoked(ofClient));
  assert.ok(!revocations(writeCrl(below.issuer, [leafOf(client)])).hasRevoked(ofClient));
  const both = [
    writeCrl(namesake.issuer, [leafOf(client)]),
    writeCrl(root.issuer, [leafOf(client)]),
  ];
  assert.ok(revocations(...both).hasRevoked(ofClient));
});

test("an overdue list is still in force", async () => {
  const client = root.workload();
  const { ofClient } = await chains(root.workload(), client);
  const nextUpdate = new Date(Date.now() - 3_600_000);
  assert.ok(
    revocations(writeCrl(root.issuer, [leafOf(client)], { nextUpdate })).hasRevoked(ofClient),
  );
});

test("a false intermediate beside the revoked one does not hide it", async () => {
  const revoked = root.intermediate();
  const [real] = revoked.intermediates;
  assert.ok(real);
  // The same name, another key and number: whoever walks by names may take the wrong one.
  const decoy = root.intermediate();
  const client = revoked.workload();
  const [leaf = "", ...others] = client.certChainPem.split(/(?<=-----END CERTIFICATE-----\n)/);
  const decoyPem = decoy.workload().certChainPem.split(/(?<=-----END CERTIFICATE-----\n)/)[1] ?? "";
  const lists = revocations(writeCrl(root.issuer, [real]));
  for (const certChainPem of [
    leaf + decoyPem + others.join(""),
    leaf + others.join("") + decoyPem,
  ]) {
    const outcome = await chains(root.workload(), { ...client, certChainPem }).then(
      ({ ofClient }) => (lists.hasRevoked(ofClient) ? "revoked" : "let in"),
      () => "refused",
    );
    assert.notEqual(outcome, "let in");
  }
});

test("a stolen intermediate key does not get around its revocation by calling itself a root", async () => {
  const revoked = root.intermediate();
  const [real] = revoked.intermediates;
  assert.ok(real);
  const publicKey = createPublicKey(revoked.issuer.privateKey);
  const pretended = writeSelfSignedCertificate(
    {
      publicKey,
      subject: { organization: "cluster.local", commonName: "test intermediate" },
      notBefore: new Date(Date.now() - 3_600_000),
      notAfter: new Date(Date.now() + 3_600_000),
      subjectAltNames: [],
      keyPurposes: [],
      basicConstraints: { ca: true },
    },
    revoked.issuer.privateKey,
  );
  const client = revoked.workload();
  const [leaf = "", ...others] = client.certChainPem.split(/(?<=-----END CERTIFICATE-----\n)/);
  const lists = revocations(writeCrl(root.issuer, [real]));
  const decoy = certificatePem(pretended);
  for (const certChainPem of [leaf + decoy + others.join(""), leaf + others.join("") + decoy]) {
    const outcome = await chains(root.workload(), { ...client, certChainPem }).then(
      ({ ofClient }) => (lists.hasRevoked(ofClient) ? "revoked" : "let in"),
      () => "refused",
    );
    assert.notEqual(outcome, "let in");
  }
});
