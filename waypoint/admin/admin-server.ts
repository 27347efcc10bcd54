/** The waypoint's admin port. Paths are Envoy's or Istio ztunnel's, where they have them. */
import { type Page, servePages } from "#common/admin/admin-pages.ts";
import { type LoggingDeps, logging } from "#common/admin/logging-page.ts";
import { READING } from "#common/admin/methods.ts";
import type { RunningServer } from "#common/runtime/http-server.ts";

export interface AdminDeps extends Omit<LoggingDeps, "targets"> {
  readonly configDump: () => AsyncIterable<string>;
  readonly clusters: () => AsyncIterable<string>;
  readonly connections: () => AsyncIterable<string>;
  /** Ends the process in order. */
  readonly quit: () => void;
}

const LOG_TARGETS = ["access", "identity", "listener", "proxy", "waypoint", "xds"];

export function serveAdmin(port: number, deps: AdminDeps): Promise<RunningServer> {
  return servePages(port, "waypoint", new Map(Object.entries(pages(deps))));
}

function pages(deps: AdminDeps): Readonly<Record<string, Page>> {
  const { configDump, clusters, connections, quit, ...loggingDeps } = deps;
  return {
    "/config_dump": {
      methods: READING,
      description: "what this waypoint knows: gateway, services and routes, backends, certificates",
      answer: () => ({ status: 200, contentType: "application/json", body: configDump() }),
    },
    "/clusters": {
      methods: READING,
      description: "the endpoints of every backend",
      answer: () => ({ status: 200, body: clusters() }),
    },
    "/connections": {
      methods: READING,
      description: "clients' connections that stand, and tunnels to endpoints",
      answer: () => ({ status: 200, contentType: "application/json", body: connections() }),
    },
    "/logging": {
      methods: ["POST"],
      description: "log levels; ?level=debug or ?level=xds=debug,access=off sets, ?reset restores",
      answer: (query) => logging(query, { ...loggingDeps, targets: LOG_TARGETS }),
    },
    "/quitquitquit": {
      methods: ["POST"],
      description: "drain and exit",
      answer: () => {
        setImmediate(quit);
        return { status: 200, body: "shutdown now\n" };
      },
    },
  };
}
