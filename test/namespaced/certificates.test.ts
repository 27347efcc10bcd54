/** Roots that are replaced and certificates that are revoked, while the mesh carries traffic. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { TestAuthority } from "#common/tls/authority-fixture.ts";
import { writeCrl } from "#common/tls/crl-fixture.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { certificatePem } from "#common/tls/write-certificate.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import {
  connectHbone,
  connectTls,
  connectTo,
  issueLeaf,
  type TestCa,
} from "#test/support/hbone-peer.ts";
import { meshCa } from "#test/support/mesh-ca.ts";
import { namespace, pod } from "#test/support/objects.ts";
import { PodSockets, readBytes } from "#test/support/pod-sockets.ts";
import { failures, Traffic } from "#test/support/traffic.ts";
import { configDump, startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;
const ECHO = 7070;
const NODES = ["node1", "node2"] as const;
const OBJECTS = [
  namespace("shop", "ambient"),
  namespace("outside", undefined),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "web", node: "node2" }),
  ...pod({ namespace: "outside", name: "peer", node: "node1" }),
];

let cluster: TestCluster;
let sockets: PodSockets;
let ip: string;

before(async () => {
  cluster = await startMesh({ objects: OBJECTS });
  sockets = new PodSockets(cluster);
  ip = await cluster.podIp("shop/web");
  await sockets.serve("shop/web", PORT, (socket) => void socket.resume().end("web"));
  await sockets.serve("shop/web", ECHO, (socket) => void socket.pipe(socket));
});

after(async () => {
  sockets?.[Symbol.dispose]();
  await cluster?.stop();
});

/** Replaces files of the CA's folder, each as a whole. */
async function putCa(files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  const { ca } = cluster.client.paths;
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(ca, `${name}.new`), content, { mode: 0o600 });
    await rename(join(ca, `${name}.new`), join(ca, name));
  }
}

/** The root that takes over. */
const nextAuthority = TestAuthority.root();

/** Its files: the certificate comes last, for with it the CA is plugged in. */
function pluggedIn(rootsPem: string): Record<string, string> {
  const ca = nextAuthority;
  return {
    "cert-chain.pem": "",
    "ca-key.pem": ca.issuer.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    "root-cert.pem": rootsPem,
    "ca-cert.pem": certificatePem(ca.issuer.certificate),
  };
}

const asTestCa = (ca: TestAuthority): TestCa => ({ ...ca.issuer, rootPem: ca.rootsPem });

/** Certificates are renewed a while after a change of roots, so that not all come at once. */
const STEP_MS = 50_000;
const STEPS_MS = 300_000;

/** Waits until every certificate of the mesh trusts these roots and was signed by this CA. */
async function untilTrusted(signer: TestCa, roots: readonly TestCa[]): Promise<void> {
  const wanted = roots.map(({ certificate }) => certificate.serialNumber.toLowerCase()).sort();
  await cluster.until(
    "all certificates are of this CA",
    async () => {
      for (const node of NODES) {
        for (const { certChain, rootCerts } of (await configDump(cluster, node)).certificates) {
          const trusted = rootCerts.map(({ serialNumber }) => BigInt(serialNumber).toString(16));
          assert.deepEqual(
            trusted.sort(),
            wanted.map((hex) => BigInt(`0x${hex}`).toString(16)).sort(),
          );
          const leaf = new X509Certificate(Buffer.from(certChain[0]?.pem ?? "", "base64"));
          assert.ok(leaf.verify(signer.certificate.publicKey));
        }
      }
      return true;
    },
    { timeoutMs: STEP_MS },
  );
}

test("D4.33 D4.35 a root is replaced step by step under load, and no request fails", {
  timeout: STEPS_MS,
}, async () => {
  const [before, next] = [await meshCa(cluster), asTestCa(nextAuthority)];
  const both = before.rootPem + next.rootPem;
  const traffic = new Traffic(sockets, "shop/client", { ip, port: PORT });
  const standing = await sockets.dial("shop/client", { ip, port: ECHO });
  try {
    const steps: readonly (readonly [Record<string, string>, TestCa, readonly TestCa[]])[] = [
      [{ "root-cert.pem": both }, before, [before, next]],
      // The new root first: another text, so that nobody waits for half a life to be signed anew.
      [pluggedIn(next.rootPem + before.rootPem), next, [before, next]],
      [{ "root-cert.pem": next.rootPem }, next, [next]],
    ];
    for (const [files, signer, roots] of steps) {
      await putCa(files);
      await untilTrusted(signer, roots);
      const enough = traffic.calls.length + 100;
      await cluster.until("requests went on", () => traffic.calls.length >= enough);
    }
  } finally {
    await traffic.stop();
  }
  assert.deepEqual(
    failures(traffic.calls, (text) => text === "web"),
    {},
  );
  standing.write("through it all");
  assert.equal(String(await readBytes(standing, 14)), "through it all");
  standing.destroy();
  // Whoever still has a certificate of the old root is out.
  const old = issueLeaf(before, { namespace: "shop", serviceAccount: "client" });
  await assertRefused({ ...old, rootsPem: next.rootPem });
});

test("D4.36 a stolen certificate works until it is revoked, then its tunnel is cut", async () => {
  await revokeStolen(asTestCa(nextAuthority));
});

/** The tunnel ends by the server's will before anything is asked of it. */
async function assertRefused(certificate: WorkloadCertificate): Promise<void> {
  const raw = await sockets.dial("outside/peer", { ip, port: 15008 });
  const socket = await connectTls({ host: ip, port: 15008, certificate, socket: raw });
  let ended = false;
  // One of them: an alert, the end of what it sends, or both.
  for (const event of ["error", "end", "close"] as const) {
    socket.on(event, () => {
      ended = true;
    });
  }
  socket.resume();
  await cluster.until("the server ends it", () => ended);
  raw.destroy();
}

async function dialAs(certificate: WorkloadCertificate) {
  const socket = await sockets.dial("outside/peer", { ip, port: 15008 });
  const session = await connectHbone({ host: ip, port: 15008, certificate, socket });
  session.on("error", () => undefined);
  const { status, stream } = await connectTo(session, `${ip}:${ECHO}`);
  assert.equal(status, 200);
  return { session, stream };
}

async function revokeStolen(ca: TestCa): Promise<void> {
  const identity = { namespace: "shop", serviceAccount: "client" };
  const stolen = issueLeaf(ca, identity);
  const { session, stream } = await dialAs(stolen);
  stream.on("error", () => undefined).resume();
  const traffic = new Traffic(sockets, "shop/client", { ip, port: PORT });
  try {
    const leaf = new X509Certificate(stolen.certChainPem);
    await putCa({ "ca-crl.pem": writeCrl(ca, [leaf]) });
    await cluster.until("the thief is cut off", () => session.destroyed);
    await assertRefused(stolen);
    const metric = "istio_crl_policy_rejections_total";
    const ztunnel = cluster.ztunnel("node2");
    await cluster.until("both are counted", async () => (await ztunnel.metric(metric)) >= 2);
    assert.match(await ztunnel.logs(), /connection closed: peer certificate revoked by CRL/);
    await revokeOwn(ca, leaf);
    const enough = traffic.calls.length + 100;
    await cluster.until("requests went on", () => traffic.calls.length >= enough);
  } finally {
    await traffic.stop();
  }
  assert.deepEqual(
    failures(traffic.calls.slice(-50), (text) => text === "web"),
    {},
  );
}

/** The client's real certificate is revoked, too: its ztunnel gets another one, and goes on. */
async function revokeOwn(ca: TestCa, others: X509Certificate): Promise<void> {
  const uri = "spiffe://cluster.local/ns/shop/sa/client";
  const current = async (): Promise<X509Certificate> => {
    const { certificates } = await configDump(cluster, "node1");
    const own = certificates.find(({ identity }) => identity === uri);
    return new X509Certificate(Buffer.from(own?.certChain[0]?.pem ?? "", "base64"));
  };
  const revoked = await current();
  await putCa({ "ca-crl.pem": writeCrl(ca, [others, revoked]) });
  await cluster.until("the client has another certificate", async () => {
    return (await current()).serialNumber !== revoked.serialNumber;
  });
}
