/**
 * The gRPC connection to istiod: TLS verified against a root file, a bearer token on every call.
 * Both files are read again whenever they are used, since both are rotated under a running proxy.
 * Sources of the numbers: ambient.md 2.5 (istio/ztunnel src/xds/client.rs, src/tls/control.rs).
 */
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { type ChannelOptions, Client, credentials, Metadata } from "@grpc/grpc-js";
import { MeshError } from "#common/runtime/errors.ts";
import { ClosableCredentials } from "./closable-credentials.ts";

export interface ControlPlaneChannelOptions {
  /** `https://host:port`. */
  readonly url: string;
  /** PEM file with the roots that istiod's certificate is verified against. */
  readonly rootCertFile: string;
  /** Name to verify (and to ask for) in place of the URL's host: ALT_XDS_HOSTNAME. */
  readonly serverName?: string | undefined;
  /** Service account token with audience `istio-ca`. */
  readonly tokenFile: string;
  readonly clusterId: string;
  /** Further headers: XDS_HEADER_*. */
  readonly headers?: Readonly<Record<string, string>>;
}

interface Connection {
  readonly roots: string;
  readonly client: Client;
  readonly credentials: ClosableCredentials;
}

/** The largest message either way: a mesh's whole state may come in one. */
const MAX_MESSAGE_BYTES = 200 * 1024 * 1024;
const KEEPALIVE_INTERVAL_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/**
 * gRPC's own pauses between connection attempts; its default of up to 120 s outlasts every restart.
 */
const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 15_000;

export class ControlPlaneChannel {
  readonly #options: ControlPlaneChannelOptions;
  #current: Connection | undefined;

  constructor(options: ControlPlaneChannelOptions) {
    this.#options = options;
  }

  get url(): string {
    return this.#options.url;
  }

  /**
   * The client for the next call; the same as last time unless the roots changed or `reset` was
   * called. Rejects with a MeshError where the root file cannot be used.
   */
  async client(): Promise<Client> {
    const roots = await readText(
      this.#options.rootCertFile,
      "root certificate",
      "ROOTS_UNREADABLE",
    );
    if (this.#current?.roots === roots) return this.#current.client;
    this.reset();
    this.#current = this.#connect(roots);
    return this.#current.client;
  }

  /** What every call carries. Rejects with a MeshError where the token cannot be read. */
  async metadata(): Promise<Metadata> {
    const { tokenFile, clusterId, headers } = this.#options;
    const token = await readText(tokenFile, "service account token", "TOKEN_UNREADABLE");
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token.trim()}`);
    metadata.set("clusterid", clusterId);
    for (const [name, value] of Object.entries(headers ?? {})) metadata.set(name, value);
    return metadata;
  }

  /** The next call opens a new connection: at once, without waiting for gRPC's own back-off. */
  reset(): void {
    this.#current?.client.close();
    this.#current?.credentials.close();
    this.#current = undefined;
  }

  #connect(roots: string): Connection {
    const { url, serverName } = this.#options;
    const options: ChannelOptions = {
      "grpc.keepalive_time_ms": KEEPALIVE_INTERVAL_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
      "grpc.initial_reconnect_backoff_ms": RECONNECT_MIN_MS,
      "grpc.min_reconnect_backoff_ms": RECONNECT_MIN_MS,
      "grpc.max_reconnect_backoff_ms": RECONNECT_MAX_MS,
      // Neither an HTTP proxy of the environment nor another program's connection may come in
      // between.
      "grpc.enable_http_proxy": 0,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.service_config_disable_resolution": 1,
      ...(serverName !== undefined && { "grpc.ssl_target_name_override": serverName }),
    };
    const own = this.#credentials(roots);
    const client = new Client(URL.parse(url)?.host ?? url, own, options);
    return { roots, client, credentials: own };
  }

  #credentials(roots: string): ClosableCredentials {
    try {
      const context = createSecureContext({ ca: roots, minVersion: "TLSv1.2" });
      return new ClosableCredentials(credentials.createFromSecureContext(context));
    } catch (cause) {
      const message = `${this.#options.rootCertFile} holds no usable certificates`;
      throw new MeshError("ROOTS_UNREADABLE", message, { cause });
    }
  }
}

async function readText(file: string, what: string, code: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const hint = `mount the ${what} there, or name its file in the environment`;
    throw new MeshError(code, `cannot read the ${what} ${file}`, { cause, hint });
  }
}
