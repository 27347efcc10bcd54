/** The CA of a test's cluster, with its key: for peers with whatever certificate a test wants. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestCluster } from "#test/support/cluster.ts";
import type { TestCa } from "#test/support/hbone-peer.ts";

/** Reads what istiod-lite keeps in its CA folder. */
export async function meshCa(cluster: TestCluster): Promise<TestCa> {
  const read = (file: string) => readFile(join(cluster.client.paths.ca, file), "utf8");
  const [rootPem, keyPem] = await Promise.all([read("root-cert.pem"), read("root-key.pem")]);
  return {
    certificate: new X509Certificate(rootPem),
    privateKey: createPrivateKey(keyPem),
    rootPem,
  };
}
