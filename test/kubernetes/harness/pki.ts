/** The certificates and keys of one cluster, made with openssl; and kubeconfigs that hold them. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "./tools/command.ts";

/** Who has a client certificate: its name as a file, and its subject (RBAC's user and groups). */
const CLIENTS: Readonly<Record<string, string>> = {
  admin: "/O=system:masters/CN=admin",
  "apiserver-kubelet": "/O=system:masters/CN=kube-apiserver-kubelet-client",
  "controller-manager": "/CN=system:kube-controller-manager",
  scheduler: "/CN=system:kube-scheduler",
  proxy: "/CN=system:kube-proxy",
};

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
const VALID = ["-days", "3650"];

export class ClusterPki {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The path of NAME.crt, NAME.key or NAME.pub. */
  path(file: string): string {
    return join(this.#folder, file);
  }

  /** The CA, the service account key, the API server's certificate and everybody's but nodes'. */
  async create(serverNames: readonly string[]): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const [key, certificate] = [this.path("ca.key"), this.path("ca.crt")];
    await Promise.all([
      openssl(
        "req",
        "-x509",
        ...NEW_KEY,
        ...VALID,
        "-subj",
        "/CN=kubernetes-ca",
        "-keyout",
        key,
        "-out",
        certificate,
      ),
      this.#createServiceAccountKey(),
    ]);
    await Promise.all([
      this.#sign("apiserver", "/CN=kube-apiserver", [
        `subjectAltName=${serverNames.join(",")}`,
        "extendedKeyUsage=serverAuth",
      ]),
      ...Object.entries(CLIENTS).map(([name, subject]) => this.#signClient(name, subject)),
    ]);
  }

  createNode(name: string): Promise<void> {
    return this.#signClient(name, `/O=system:nodes/CN=system:node:${name}`);
  }

  async #createServiceAccountKey(): Promise<void> {
    await openssl("genrsa", "-out", this.path("sa.key"), "2048");
    await openssl("rsa", "-in", this.path("sa.key"), "-pubout", "-out", this.path("sa.pub"));
  }

  #signClient(name: string, subject: string): Promise<void> {
    return this.#sign(name, subject, ["extendedKeyUsage=clientAuth"]);
  }

  async #sign(name: string, subject: string, extensions: readonly string[]): Promise<void> {
    const [key, request, config] = ["key", "csr", "ext"].map((end) => this.path(`${name}.${end}`));
    if (key === undefined || request === undefined || config === undefined) return;
    await openssl("req", ...NEW_KEY, "-subj", subject, "-keyout", key, "-out", request);
    await writeFile(config, `${extensions.join("\n")}\n`);
    const ca = ["-CA", this.path("ca.crt"), "-CAkey", this.path("ca.key"), "-CAcreateserial"];
    const out = ["-extfile", config, "-out", this.path(`${name}.crt`)];
    // One serial number file each: several are signed at once.
    const serial = ["-CAserial", this.path(`${name}.srl`)];
    await openssl("x509", "-req", "-in", request, ...ca, ...serial, ...VALID, ...out);
    await Promise.all([request, config].map((path) => rm(path)));
  }

  /** Writes NAME.kubeconfig for the holder of NAME.crt; returns its path. */
  async writeKubeconfig(name: string, server: string): Promise<string> {
    const base64 = async (file: string) => (await readFile(this.path(file))).toString("base64");
    const cluster = { server, "certificate-authority-data": await base64("ca.crt") };
    const user = {
      "client-certificate-data": await base64(`${name}.crt`),
      "client-key-data": await base64(`${name}.key`),
    };
    const path = this.path(`${name}.kubeconfig`);
    // JSON is YAML.
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "test", cluster }],
      users: [{ name, user }],
      contexts: [{ name: "test", context: { cluster: "test", user: name } }],
      "current-context": "test",
    };
    await writeFile(path, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
    return path;
  }
}

async function openssl(...args: readonly string[]): Promise<void> {
  await runCommand(["openssl", ...args], { hint: "Debian: apt install openssl" });
}
