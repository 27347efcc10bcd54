/**
 * ztunnel's admin port. Paths, port and answers are those of Istio's ztunnel (istio/ztunnel
 * src/admin.rs at 62d82653).
 */
import { type Page, servePages } from "#common/admin/admin-pages.ts";
import { type LoggingDeps, logging } from "#common/admin/logging-page.ts";
import { READING } from "#common/admin/methods.ts";
import type { Answer, RunningServer } from "#common/runtime/http-server.ts";

export interface AdminDeps extends Omit<LoggingDeps, "targets"> {
  readonly configDump: () => Promise<AsyncIterable<string>>;
  /** Ends the process in order. */
  readonly quit: () => void;
}

const LOG_TARGETS = ["access", "capture", "identity", "inpod", "xds", "ztunnel"];

export function serveAdmin(port: number, deps: AdminDeps): Promise<RunningServer> {
  return servePages(port, "ztunnel", new Map(Object.entries(pages(deps))));
}

function pages(deps: AdminDeps): Readonly<Record<string, Page>> {
  const { quit, ...loggingDeps } = deps;
  return {
    "/config_dump": {
      methods: READING,
      description:
        "what this proxy knows: workloads, services, policies, certificates, connections",
      answer: () => dump(deps),
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

async function dump(deps: AdminDeps): Promise<Answer> {
  const body = await deps.configDump();
  return { status: 200, contentType: "application/json", body };
}
