/**
 * ztunnel's three HTTP servers: admin (loopback only), metrics, readiness. Apart because a big
 * answer on one must not delay a probe on another, and because only the first may change anything.
 */
import { gzipSync } from "node:zlib";
import type { Registry } from "prom-client";
import {
  type Answer,
  type Query,
  type RunningServer,
  serveHttp,
} from "#common/runtime/http-server.ts";
import { type LevelControl, LOG_LEVELS, type LogLevel } from "#common/telemetry/logger.ts";

export interface AdminDeps {
  readonly configDump: () => Promise<AsyncIterable<string>>;
  readonly logLevel: LevelControl;
  /** The level to go back to on `reset`. */
  readonly defaultLogLevel: LogLevel;
  /** Ends the process in order. */
  readonly quit: () => void;
}

const INDEX = `ambient-mesh ztunnel

GET  /config_dump        what this proxy knows: workloads, services, policies, certificates,
                         connections
POST /logging            the log level; ?level=debug sets it, ?reset= restores it
POST /quitquitquit       drain and exit
`;

const LEVELS = LOG_LEVELS.join("|");
const LOGGING_HELP = `usage: POST /logging?level=<${LEVELS}> or POST /logging?reset=\n`;

export function serveAdmin(port: number, deps: AdminDeps): Promise<RunningServer> {
  return serveHttp({ host: "127.0.0.1", port, reusePort: true }, async (query) => {
    switch (query.path) {
      case "/":
        return { status: 200, body: INDEX };
      case "/config_dump":
        return dump(deps);
      case "/logging":
        return logging(query, deps);
      case "/quitquitquit":
        if (query.method !== "POST") return methodNotAllowed("use POST\n");
        setImmediate(deps.quit);
        return { status: 200, body: "shutdown now\n" };
      default:
        return { status: 404, body: `no such page\n\n${INDEX}` };
    }
  });
}

/** `/metrics` and `/stats/prometheus`, on every address: Prometheus is on another node. */
export function serveMetrics(port: number, registry: Registry): Promise<RunningServer> {
  return serveHttp({ port, reusePort: true }, async ({ path, acceptsGzip }) => {
    if (path !== "/metrics" && path !== "/stats/prometheus") {
      return { status: 404, body: "metrics are at /metrics\n" };
    }
    const text = await registry.metrics();
    const contentType = registry.contentType;
    if (!acceptsGzip) return { status: 200, contentType, body: text };
    const headers = { "content-encoding": "gzip" };
    return { status: 200, contentType, headers, body: gzipSync(text) };
  });
}

/** `/healthz/ready`: 200 when nothing is pending. */
export function serveReadiness(
  port: number,
  pending: () => readonly string[],
): Promise<RunningServer> {
  return serveHttp({ port, reusePort: true }, ({ path }) => {
    if (path !== "/healthz/ready") return { status: 404, body: "readiness is at /healthz/ready\n" };
    const names = pending();
    if (names.length === 0) return { status: 200, body: "ready\n" };
    return { status: 500, body: `not ready, pending: ${names.join(", ")}\n` };
  });
}

async function dump(deps: AdminDeps): Promise<Answer> {
  const body = await deps.configDump();
  return { status: 200, contentType: "application/json", body };
}

function logging(query: Query, deps: AdminDeps): Answer {
  if (query.method !== "POST") return methodNotAllowed(LOGGING_HELP);
  const level = query.parameters.get("level");
  if (query.parameters.has("reset")) deps.logLevel.level = deps.defaultLogLevel;
  if (level !== null && level !== "") {
    const known = LOG_LEVELS.find((candidate) => candidate === level);
    if (known === undefined) {
      return { status: 400, body: `Invalid level provided: ${level}\n${LOGGING_HELP}` };
    }
    deps.logLevel.level = known;
  }
  return { status: 200, body: `current log level is ${deps.logLevel.level}\n` };
}

function methodNotAllowed(help: string): Answer {
  return { status: 405, body: `Invalid HTTP method\n${help}` };
}
