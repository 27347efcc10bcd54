/**
 * The two servers that others only read: metrics, and readiness. Apart, because a big answer on one
 * must not delay a probe on another. Paths and answers are those of Istio's ztunnel (istio/ztunnel
 * src/metrics/server.rs, src/readiness/server.rs at 62d82653).
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Registry } from "prom-client";
import { type RunningServer, serveHttp } from "#common/runtime/http-server.ts";
import { methodNotAllowed, READING } from "./methods.ts";

/** In a thread of its own: what a scrape takes must not hold up anything else. */
const compressed = promisify(gzip);

/** `/metrics` and `/stats/prometheus`, on every address: Prometheus is on another node. */
export function serveMetrics(
  port: number,
  registry: Pick<Registry, "metrics" | "contentType">,
): Promise<RunningServer> {
  return serveHttp({ port, reusePort: true }, async ({ path, method, acceptsGzip }) => {
    if (path !== "/metrics" && path !== "/stats/prometheus") {
      return { status: 404, body: "metrics are at /metrics\n" };
    }
    if (!READING.includes(method)) return methodNotAllowed(READING);
    const text = await registry.metrics();
    const contentType = registry.contentType;
    if (!acceptsGzip) return { status: 200, contentType, body: text };
    const headers = { "content-encoding": "gzip" };
    return { status: 200, contentType, headers, body: await compressed(text) };
  });
}

/**
 * `/healthz/ready`: 200 when nothing is pending, else `unreadyStatus` with the names of what is:
 * 500 as a ztunnel says it, 503 as Istio's other proxies do.
 */
export function serveReadiness(
  port: number,
  pending: () => readonly string[],
  unreadyStatus: 500 | 503 = 500,
): Promise<RunningServer> {
  return serveHttp({ port, reusePort: true }, ({ path, method }) => {
    if (path !== "/healthz/ready") return { status: 404, body: "readiness is at /healthz/ready\n" };
    if (!READING.includes(method)) return methodNotAllowed(READING);
    const names = pending();
    if (names.length === 0) return { status: 200, body: "ready\n" };
    return { status: unreadyStatus, body: `not ready, pending: ${[...names].sort().join(", ")}\n` };
  });
}
