/** A delta xDS client of two types for tests, with all that it was told and all that it did. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MeshError } from "#common/runtime/errors.ts";
import { createLogger, type Logger } from "#common/telemetry/logger.ts";
import { ControlPlaneChannel } from "./control-plane-channel.ts";
import { DeltaClient, type TerminationReason, type XdsCounters } from "./delta-client.ts";
import type { DiscoveryServer, ServerIdentity } from "./delta-test-server.ts";
import { ztunnelNode } from "./node-identity.ts";
import { ResourceHandler } from "./resource-handler.ts";

export const COLORS = "type.test/Color";
export const SHAPES = "type.test/Shape";
/** The name that the client asks for and expects. */
export const SERVER_NAME = "istiod.test";

const NODE = ztunnelNode({
  ip: "10.0.0.1",
  podName: "ztunnel-x",
  podNamespace: "istio-system",
  nodeName: "node-1",
  clusterId: "Kubernetes",
  network: "",
  env: { ISTIO_META_FOO: "bar", ISTIO_METAJSON_LIST: "[1]", OTHER: "no" },
});

/** What ends with a test: its context. */
interface Scope {
  after(cleanUp: () => Promise<void>): void;
}

/** Root certificate and token as a pod has them. */
async function credentialFiles(t: Scope, rootPem: string) {
  const files = await mkdtemp(join(tmpdir(), "delta-client-"));
  t.after(() => rm(files, { recursive: true }));
  const rootCertFile = join(files, "root.pem");
  const tokenFile = join(files, "token");
  await writeFile(rootCertFile, rootPem);
  await writeFile(tokenFile, "token-1\n");
  return { rootCertFile, tokenFile };
}

/** What the client was told: resources are their bytes as text, and "bad" is refused. */
function recorder() {
  const held = new Map<string, string>();
  const applied: { upserts: string[]; removed: readonly string[] }[] = [];
  const handler = (typeUrl: string) =>
    ResourceHandler.of<string>({
      typeUrl,
      decode: (bytes) => {
        const text = Buffer.from(bytes).toString();
        if (text === "bad") throw new MeshError("INVALID_RESOURCE", "it is bad");
        return text;
      },
      apply: (upserts, removed) => {
        applied.push({ upserts: upserts.map(({ name }) => name), removed });
        for (const name of removed) held.delete(name);
        for (const { name, value } of upserts) held.set(name, value);
      },
    });
  return { held, applied, handlers: [handler(COLORS), handler(SHAPES)] };
}

/** What the client counted and logged. */
function observer() {
  const terminations: TerminationReason[] = [];
  const bytes = new Map<string, number>();
  const synced: string[] = [];
  const lines: string[] = [];
  const counters: XdsCounters = {
    terminated: (reason) => void terminations.push(reason),
    received: (url, count) => void bytes.set(url, (bytes.get(url) ?? 0) + count),
  };
  const write = (line: string): void => void lines.push(line);
  const logger: Logger = createLogger({ level: "info", format: "text", write });
  const onSynced = (typeUrl: string): void => void synced.push(typeUrl);
  const delaysMs = (): number[] =>
    lines.flatMap((line) => /retryInMs=(\d+)/.exec(line)?.slice(1).map(Number) ?? []);
  return { terminations, bytes, synced, lines, delaysMs, deps: { counters, logger, onSynced } };
}

/**
 * Starts a client of the server; it ends with the test, and the server with it. `handlers` are by
 * default those of COLORS and SHAPES.
 */
export async function startTestClient(
  t: Scope,
  server: Pick<DiscoveryServer, "port" | "kill">,
  roots: ServerIdentity,
  {
    handlers: given,
    ...options
  }: { readonly random?: () => number; readonly handlers?: readonly ResourceHandler[] } = {},
) {
  const files = await credentialFiles(t, roots.rootPem);
  const { handlers: recording, ...told } = recorder();
  const handlers = given ?? recording;
  const { deps, ...seen } = observer();
  const channel = new ControlPlaneChannel({
    url: `https://127.0.0.1:${server.port}`,
    ...files,
    serverName: SERVER_NAME,
    clusterId: "Kubernetes",
    headers: { "x-extra": "1" },
  });
  const client = new DeltaClient({ channel, handlers, ...deps, ...options }, NODE);
  const stop = new AbortController();
  const running = client.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
    server.kill();
  });
  return { client, stop, running, ...files, ...told, ...seen };
}
