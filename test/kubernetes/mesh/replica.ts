/**
 * An istiod-lite that runs here, in this process, as the account and with the permissions that
 * manifests/base gives it, and a ztunnel's view of it.
 */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { makeIdentity } from "#common/model/identity.ts";
import { createSigningRequest } from "#common/tls/csr.ts";
import { createCertificate } from "#common/xds/citadel-rpc.ts";
import type { TypeUrl } from "#common/xds/type-urls.ts";
import { Istiod } from "#istiod-lite/app.ts";
import { parseOptions } from "#istiod-lite/options.ts";
import { RawStream } from "#istiod-lite/xds/ads-test-server.ts";
import { ROOT } from "../../house/tree.ts";
import type { KubernetesCluster } from "../harness/cluster.ts";
import { gatewayApiCrds } from "../harness/official-crds.ts";
import { waitFor } from "../harness/wait-for.ts";

const NAMESPACE = "istio-system";
const SERVER_NAME = "istiod.istio-system.svc";

/** Definitions, accounts, roles; a node, its ztunnel and a pod beside it that only seem to run. */
export async function prepareControlPlane(cluster: KubernetesCluster): Promise<void> {
  await cluster.check(["apply", "--server-side", "-k", join(ROOT, "manifests/crds")]);
  await cluster.apply(...(await gatewayApiCrds()));
  await cluster.check(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
  await cluster.check(["apply", "--server-side", "-k", join(ROOT, "manifests/waypoint-class")]);
  await cluster.check(["apply", "--server-side", "-k", join(ROOT, "manifests/base/namespace")]);
  for (const file of ["service-account", "cluster-role", "role"]) {
    await cluster.check(["apply", "-f", join(ROOT, `manifests/base/istiod/${file}.yaml`)]);
  }
  await cluster.apply(
    { apiVersion: "v1", kind: "Node", metadata: { name: "n1" } },
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } },
    account("ztunnel", NAMESPACE),
    account("web", "shop"),
    pod("ztunnel-1", NAMESPACE, "ztunnel"),
    pod("web-1", "shop", "web"),
  );
  await run(cluster, NAMESPACE, "ztunnel-1", "10.0.0.1");
  await run(cluster, "shop", "web-1", "10.0.0.2");
}

export class Replica {
  /** What it has logged, line by line. */
  readonly log: readonly string[];
  /** PEM of what it signs with, as every namespace has it. */
  readonly root: string;
  readonly #cluster: KubernetesCluster;
  readonly #istiod: Istiod;
  readonly #host: string;
  readonly #grpc: Client;

  private constructor(cluster: KubernetesCluster, istiod: Istiod, root: string, log: string[]) {
    this.log = log;
    this.root = root;
    this.#cluster = cluster;
    this.#istiod = istiod;
    this.#host = cluster.hostAddress;
    const trust = credentials.createSsl(Buffer.from(root));
    this.#grpc = new Client(`${this.#host}:${istiod.ports.xds}`, trust, {
      "grpc.ssl_target_name_override": SERVER_NAME,
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  /**
   * Resolves when it serves, where the API server reaches it too. `tokenFile`: of its service
   * account; a token of an hour unless given.
   */
  static async start(cluster: KubernetesCluster, tokenFile?: string): Promise<Replica> {
    const kubeconfig = await kubeconfigOf(cluster, tokenFile);
    const arguments_ = ["--source", `kubernetes:${kubeconfig}`, "--listen", cluster.hostAddress];
    const ports = ["--xds-port", "0", "--debug-port", "0", "--webhook-port", "0"];
    const image = ["--waypoint-image", "ambient-mesh:test"];
    const options = parseOptions([...arguments_, ...ports, ...image], { POD_NAMESPACE: NAMESPACE });
    const log: string[] = [];
    const write = (line: string): void => void log.push(line);
    const istiod = await Istiod.start(options, { write, unreadBytes: () => 0 });
    const configMap = ["get", "configmap", "istio-ca-root-cert", "-n", NAMESPACE];
    const root = await waitFor("the root certificate", () =>
      cluster.check([...configMap, "-o", "jsonpath={.data.root-cert\\.pem}"]),
    );
    return new Replica(cluster, istiod, root, log);
  }

  /** What the log says that was not allowed. */
  get denied(): readonly string[] {
    return this.log.filter((line) => /does not allow|cannot \w+ resource/.test(line));
  }

  /** Of the validating webhook, at the cluster's `hostAddress`. */
  get webhookPort(): number {
    return this.#istiod.ports.webhook;
  }

  async close(): Promise<void> {
    this.#grpc.close();
    await this.#istiod.close();
  }

  async leads(): Promise<boolean> {
    const page = await fetch(`http://${this.#host}:${this.#istiod.ports.debug}/metrics`);
    return /^ambient_leader 1$/m.test(await page.text());
  }

  /** Whether this root has signed what it shows to proxies, or at another port of its own. */
  async isOfRoot(rootPem: string, port = this.#istiod.ports.xds): Promise<boolean> {
    const socket = connect({
      host: this.#host,
      port,
      servername: SERVER_NAME,
      ALPNProtocols: ["h2", "http/1.1"],
      // What is looked at is what it shows.
      rejectUnauthorized: false,
    });
    await once(socket, "secureConnect");
    const shown = new X509Certificate(socket.getPeerCertificate().raw);
    socket.destroy();
    return shown.verify(new X509Certificate(rootPem).publicKey);
  }

  /** A stream of n1's ztunnel. */
  async connect(): Promise<RawStream> {
    return new RawStream(this.#grpc, await this.#token("istio-ca"));
  }

  /** Everything of a type that the ztunnel is told, with versions, once it is as wanted. */
  async resources(
    typeUrl: TypeUrl,
    wanted: (known: ReadonlyMap<string, string>) => boolean,
  ): Promise<ReadonlyMap<string, string>> {
    return await waitFor(`resources of ${typeUrl}`, async () => {
      const stream = await this.connect();
      stream.send({ typeUrl });
      const { resources } = await stream.next(20_000);
      stream.cancel();
      const known = new Map(resources.map(({ name, version }) => [name, version]));
      return wanted(known) && known;
    });
  }

  /** "issued", or how the ztunnel was refused a certificate of this account. */
  async certificateFor(namespace: string, name: string, audience = "istio-ca"): Promise<string> {
    const { csrPem: csr } = createSigningRequest(makeIdentity("cluster.local", "x", "y"));
    const { uri } = makeIdentity("cluster.local", namespace, name);
    const request = { csr, validityDurationS: 3_600, metadata: { ImpersonatedIdentity: uri } };
    const metadata = await this.#token(audience);
    const { path, requestSerialize, responseDeserialize } = createCertificate;
    return new Promise((resolve) => {
      this.#grpc.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        (error: ServiceError | null) => resolve(error?.details ?? "issued"),
      );
    });
  }

  async #token(audience: string): Promise<Metadata> {
    const bound = await this.#cluster.check(
      ["create", "token", "ztunnel", "-n", NAMESPACE, `--audience=${audience}`].concat([
        "--bound-object-kind=Pod",
        "--bound-object-name=ztunnel-1",
      ]),
    );
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${bound.trim()}`);
    return metadata;
  }
}

let kubeconfigs = 0;

/** Of the service account `istiod`, by a token as its pod would have. */
async function kubeconfigOf(cluster: KubernetesCluster, tokenFile?: string): Promise<string> {
  const path = join(cluster.logFolder, `istiod-${++kubeconfigs}.kubeconfig`);
  const user = { tokenFile: tokenFile ?? (await writeToken(cluster, `${path}.token`)) };
  const raw = await cluster.check(["config", "view", "--raw", "--minify", "-o", "json"]);
  const config = JSON.parse(raw);
  config.users = [{ name: config.users[0].name, user }];
  writeFileSync(path, JSON.stringify(config));
  return path;
}

/**
 * Puts a token of istiod's service account into a file, and returns its path. It is good for no
 * longer than the Secret of that name is there.
 */
export async function writeToken(
  cluster: KubernetesCluster,
  path: string,
  secret?: string,
): Promise<string> {
  const bound = ["--bound-object-kind=Secret", `--bound-object-name=${secret}`];
  const create = ["create", "token", "istiod", "-n", NAMESPACE];
  const token = await cluster.check([...create, ...(secret === undefined ? [] : bound)]);
  writeFileSync(path, token.trim());
  return path;
}

function account(name: string, namespace: string): object {
  return { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } };
}

function pod(name: string, namespace: string, serviceAccountName: string): object {
  const containers = [{ name: "app", image: "app" }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace },
    spec: { nodeName: "n1", serviceAccountName, containers },
  };
}

/** As a kubelet would say it. */
async function run(
  cluster: KubernetesCluster,
  namespace: string,
  name: string,
  podIP: string,
): Promise<void> {
  const conditions = [{ type: "Ready", status: "True" }];
  const status = { phase: "Running", podIP, podIPs: [{ ip: podIP }], conditions };
  const patch = ["patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge"];
  await cluster.check([...patch, "-p", JSON.stringify({ status })]);
}
