/** A webhook on a port of this machine, and a client that calls it as an API server does. */
import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { type RequestOptions, request } from "node:https";
import type { TestContext } from "node:test";
import { Registry as MetricsRegistry } from "prom-client";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { objectKey } from "#common/kubernetes/objects.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { TestAuthority } from "#common/tls/authority-fixture.ts";
import { readPemCertificates } from "#common/tls/pem.ts";
import { CertificateAuthority } from "../ca/certificate-authority.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "../registry/registry-options.ts";
import { MeshPreview } from "./mesh-preview.ts";
import { WebhookMetrics } from "./webhook-metrics.ts";
import { WebhookServer, type WebhookServerDeps } from "./webhook-server.ts";

/** As the Service's configuration makes API servers ask for it. */
export const SERVER_NAME = "istiod.istio-system.svc";

export interface WebhookAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** What a review's answer says. */
export interface Response {
  readonly uid: string;
  readonly allowed: boolean;
  readonly status?: { readonly message: string; readonly code: number };
  readonly warnings?: readonly string[];
}

export function makeAuthority(): CertificateAuthority {
  const { issuer, intermediates, rootsPem } = TestAuthority.root();
  return new CertificateAuthority({
    issuer,
    intermediates,
    roots: readPemCertificates(rootsPem),
  });
}

export class WebhookFixture {
  readonly preview = new MeshPreview(DEFAULT_REGISTRY_OPTIONS);
  readonly metrics = new MetricsRegistry();
  readonly log: string[] = [];
  /** In force; another one can be put here. */
  authority = { current: makeAuthority() };
  /** Milliseconds since the epoch. */
  now = Date.now();
  port = 0;
  readonly server: WebhookServer;

  constructor(bounds: Pick<WebhookServerDeps, "bodies" | "connections"> = {}) {
    const write = (line: string): void => void this.log.push(line);
    this.server = new WebhookServer({
      authority: this.authority,
      dnsNames: [SERVER_NAME],
      preview: this.preview,
      metrics: new WebhookMetrics(this.metrics),
      logger: createLogger({ level: "info", format: "text", write }),
      now: () => this.now,
      ...bounds,
    });
  }

  static async start(
    t: Pick<TestContext, "after">,
    bounds?: Pick<WebhookServerDeps, "bodies" | "connections">,
  ): Promise<WebhookFixture> {
    const fixture = new WebhookFixture(bounds);
    fixture.port = await fixture.server.listen("127.0.0.1", 0);
    t.after(() => fixture.server.close());
    return fixture;
  }

  know(...objects: readonly KubernetesObject[]): void {
    this.preview.apply(
      objects.map((object) => ({ key: objectKey(object), kind: object.kind, object })),
    );
  }

  /** A client's options: it trusts what is in force now, and nothing else. */
  options(more: RequestOptions = {}): RequestOptions {
    return {
      host: "127.0.0.1",
      port: this.port,
      path: "/validate?timeout=5s",
      method: "POST",
      servername: SERVER_NAME,
      ca: this.authority.current.rootsPem,
      headers: { "content-type": "application/json" },
      ...more,
    };
  }

  post(body: string | Buffer, more: RequestOptions = {}): Promise<WebhookAnswer> {
    return new Promise((resolve, reject) => {
      const call = request(this.options(more), (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        answer.on("error", reject).on("end", () => {
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text });
        });
      });
      call.on("error", reject);
      call.end(body);
    });
  }

  /** Reviews an object that is created, unless `more` of the request says otherwise. */
  async review(object: unknown, more: object = {}): Promise<Response> {
    const { text } = await this.post(JSON.stringify(reviewOf(object, more)));
    const { response } = JSON.parse(text) as { response: Response };
    return response;
  }
}

/** An AdmissionReview as an API server writes it. */
export function reviewOf(object: unknown, more: object = {}): object {
  const { apiVersion = "", kind = "", metadata = {} } = object as Partial<KubernetesObject>;
  const [group = "", version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  const { name = "", namespace = "" } = metadata as { name?: string; namespace?: string };
  const plural = kind.endsWith("y") ? `${kind.slice(0, -1)}ies` : `${kind}s`;
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: randomUUID(),
      kind: { group, version, kind },
      resource: { group, version, resource: plural.toLowerCase() },
      name,
      namespace,
      operation: "CREATE",
      userInfo: { username: "ann" },
      object,
      oldObject: null,
      dryRun: false,
      options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1" },
      ...more,
    },
  };
}
