/**
 * ztunnel's three HTTP servers: admin (loopback only), metrics, readiness. Apart because a big
 * answer on one must not delay a probe on another, and because only the first may change anything.
 * Paths, ports and answers are those of Istio's ztunnel (istio/ztunnel src/admin.rs,
 * src/metrics/server.rs, src/readiness/server.rs at 62d82653).
 */
import { gzipSync } from "node:zlib";
import type { Registry } from "prom-client";
import {
  type Answer,
  type Query,
  type RunningServer,
  serveHttp,
} from "#common/runtime/http-server.ts";
import { formatIndexPage, type IndexEntry } from "./index-page.ts";
import { type LoggingDeps, logging } from "./logging-page.ts";
import { serveOnLoopback } from "./loopback-server.ts";

export interface AdminDeps extends LoggingDeps {
  readonly configDump: () => Promise<AsyncIterable<string>>;
  /** Ends the process in order. */
  readonly quit: () => void;
}

interface Page extends IndexEntry {
  readonly answer: (query: Query, deps: AdminDeps) => Answer | Promise<Answer>;
}

const PAGES: Readonly<Record<string, Page>> = {
  "/config_dump": {
    methods: ["GET", "HEAD"],
    description: "what this proxy knows: workloads, services, policies, certificates, connections",
    answer: (_, deps) => dump(deps),
  },
  "/logging": {
    methods: ["POST"],
    description: "log levels; ?level=debug or ?level=xds=debug,access=off sets, ?reset restores",
    answer: logging,
  },
  "/quitquitquit": {
    methods: ["POST"],
    description: "drain and exit",
    answer: (_, { quit }) => {
      setImmediate(quit);
      return { status: 200, body: "shutdown now\n" };
    },
  },
};

const INDEX: Page = {
  methods: ["GET", "HEAD"],
  description: "this page",
  answer: () => ({
    status: 200,
    contentType: "text/html; charset=utf-8",
    body: formatIndexPage(new Map(Object.entries(PAGES))),
  }),
};

export function serveAdmin(port: number, deps: AdminDeps): Promise<RunningServer> {
  return serveOnLoopback(port, async (query) => {
    const page = query.path === "/" ? INDEX : Object.hasOwn(PAGES, query.path) && PAGES[query.path];
    if (!page) {
      const known = Object.keys(PAGES).join(", ");
      return { status: 404, body: `no such page; there are ${known}\n` };
    }
    return page.methods.includes(query.method)
      ? page.answer(query, deps)
      : methodNotAllowed(page.methods);
  });
}

/** `/metrics` and `/stats/prometheus`, on every address: Prometheus is on another node. */
export function serveMetrics(port: number, registry: Registry): Promise<RunningServer> {
  return serveHttp({ port, reusePort: true }, async ({ path, method, acceptsGzip }) => {
    if (path !== "/metrics" && path !== "/stats/prometheus") {
      return { status: 404, body: "metrics are at /metrics\n" };
    }
    if (!READING.includes(method)) return methodNotAllowed(READING);
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
  return serveHttp({ port, reusePort: true }, ({ path, method }) => {
    if (path !== "/healthz/ready") return { status: 404, body: "readiness is at /healthz/ready\n" };
    if (!READING.includes(method)) return methodNotAllowed(READING);
    const names = pending();
    if (names.length === 0) return { status: 200, body: "ready\n" };
    return { status: 500, body: `not ready, pending: ${[...names].sort().join(", ")}\n` };
  });
}

const READING: readonly string[] = ["GET", "HEAD"];

async function dump(deps: AdminDeps): Promise<Answer> {
  const body = await deps.configDump();
  return { status: 200, contentType: "application/json", body };
}

function methodNotAllowed(methods: readonly string[]): Answer {
  const allow = methods.join(", ");
  return { status: 405, headers: { allow }, body: `Invalid HTTP method; use ${allow}\n` };
}
