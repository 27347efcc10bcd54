/** A pod's own connection to its cluster: by the service account that is mounted into it. */
import { join } from "node:path";
import { CredentialFile } from "#common/kube-client/credential-file.ts";
import { HttpKubeClient } from "#common/kube-client/http-kube-client.ts";
import type { KubeConnection } from "#common/kube-client/kube-connection.ts";
import { TlsFiles } from "#common/kube-client/tls-material.ts";
import { MeshError } from "#common/runtime/errors.ts";

/** Source: Kubernetes' documentation, "Accessing the Kubernetes API from a Pod". */
const ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

export interface InClusterOptions {
  /** @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where `token` and `ca.crt` are. */
  readonly folder?: string;
  /** Milliseconds; the system's clock unless given. */
  readonly now?: () => number;
}

/** Throws MeshError KUBE_NOT_IN_CLUSTER where this process is in no pod. */
export function connectInCluster({
  env = process.env,
  folder = ACCOUNT_FOLDER,
  now = Date.now,
}: InClusterOptions = {}): HttpKubeClient {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = env;
  if (host === undefined || host === "") {
    throw new MeshError("KUBE_NOT_IN_CLUSTER", "this process runs in no pod of a cluster", {
      hint: "KUBERNETES_SERVICE_HOST is not set: name a kubeconfig file instead",
    });
  }
  const token = new CredentialFile(join(folder, "token"), now);
  const tls = new TlsFiles({
    ca: new CredentialFile(join(folder, "ca.crt"), now),
    rejectUnauthorized: true,
  });
  const connection: KubeConnection = {
    server: new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`),
    tls: () => tls.read(),
    headers: async () => ({ authorization: `Bearer ${(await token.read()).trim()}` }),
    refused: () => token.changed(),
  };
  return new HttpKubeClient(connection);
}
