/** An HTTPS server that says who called, and a folder for credentials, for tests. */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { TLSSocket } from "node:tls";
import { stringify } from "yaml";
import { TestAuthority } from "#common/tls/authority-fixture.ts";

export const SERVER_NAME = "kube.example.com";

/** What the server says of a request. */
export interface Seen {
  readonly authorization?: string;
  readonly impersonated?: string;
  /** Serial number of the client's certificate. */
  readonly serial?: string;
}

export class TlsServerFixture {
  readonly authority = TestAuthority.root();
  readonly folder: string;
  url = "";
  /** Answers with 401 where it says so. */
  refuses: (seen: Seen) => boolean = () => false;
  readonly #certificate = this.authority.workload({
    subjectAltNames: [
      { type: "dns", value: SERVER_NAME },
      { type: "dns", value: "localhost" },
    ],
  });
  #server = this.#create(this.#certificate);

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async start(t: TestContext): Promise<TlsServerFixture> {
    const fixture = new TlsServerFixture(mkdtempSync(join(tmpdir(), "kubeconfig-")));
    await fixture.#listen(0);
    t.after(() => {
      fixture.#server.closeAllConnections();
      fixture.#server.close();
      rmSync(fixture.folder, { recursive: true });
    });
    return fixture;
  }

  /** Goes on with a certificate of another CA. Returns that CA's roots. */
  async change(): Promise<string> {
    const { port } = new URL(this.url);
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
    const other = TestAuthority.root();
    const names = [{ type: "dns", value: "localhost" }] as const;
    this.#server = this.#create(other.workload({ subjectAltNames: names }));
    await this.#listen(Number(port));
    return other.rootsPem;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  /** A kubeconfig of one cluster, user and context, all called "test". */
  kubeconfig(user: object, cluster: object = {}, context: object = {}): string {
    const ca = { "certificate-authority-data": base64(this.authority.rootsPem) };
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      clusters: [{ name: "test", cluster: { server: this.url, ...ca, ...cluster } }],
      users: [{ name: "test", user }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test", ...context } }],
    };
    return this.write("config", stringify(config));
  }

  async #listen(port: number): Promise<void> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    this.url = `https://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  #create({ certChainPem, privateKeyPem }: { certChainPem: string; privateKeyPem: string }) {
    const options = { cert: certChainPem, key: privateKeyPem, requestCert: true };
    const tls = { ...options, rejectUnauthorized: false };
    return createServer(tls, (request, response) => this.#answer(request, response));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { authorization } = request.headers;
    const impersonated = request.headers["impersonate-user"];
    const { serialNumber } = (request.socket as TLSSocket).getPeerCertificate();
    const seen: Seen = {
      ...(authorization !== undefined && { authorization }),
      ...(typeof impersonated === "string" && { impersonated }),
      ...(serialNumber !== undefined && { serial: serialNumber.toLowerCase() }),
    };
    response.writeHead(this.refuses(seen) ? 401 : 200).end(JSON.stringify(seen));
  }
}

export function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
