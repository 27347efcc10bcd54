/** What istiod-lite shows on its debug port: readiness, metrics, what it publishes and to whom. */
import type { Registry } from "prom-client";
import type { Answer, Query } from "#common/runtime/http-server.ts";
import { VERSION } from "#common/runtime/version.ts";
import { TYPE_URLS } from "#common/xds/type-urls.ts";
import type { ResourceView } from "./registry/resource-table.ts";

export interface DebugDeps {
  /** Why the control plane is not ready; undefined when it is. */
  readonly unready: () => string | undefined;
  readonly metrics: Registry;
  readonly view: ResourceView;
  readonly proxies: () => readonly object[];
}

const INDEX = `istiod-lite

/healthz/ready     200 once all configuration has been read
/metrics           Prometheus metrics
/version           of this program
/debug/syncz       connected proxies (from localhost only)
/debug/registryz   names and versions of everything that is published (from localhost only)
`;

/** What a mesh consists of is no business of every pod's (CVE-2026-31838). */
const LOCAL_ONLY: Answer = {
  status: 403,
  body: "debug pages are for localhost only: kubectl port-forward, or nsenter -t PID -n\n",
};

export async function answerDebug(query: Query, deps: DebugDeps): Promise<Answer> {
  const { fromLoopback } = query;
  // istioctl asks for "//version".
  const path = query.path.replace(/^\/+/, "/");
  if (path.startsWith("/debug/") && !fromLoopback) return LOCAL_ONLY;
  switch (path) {
    case "/":
      return { status: 200, body: INDEX };
    case "/healthz/ready":
    case "/ready":
      return readiness(deps.unready());
    case "/metrics":
      return {
        status: 200,
        contentType: deps.metrics.contentType,
        body: await deps.metrics.metrics(),
      };
    case "/version":
      return { status: 200, body: VERSION };
    case "/debug/syncz":
      return json(deps.proxies());
    case "/debug/registryz":
      return json(Object.fromEntries(TYPE_URLS.map((type) => [type, versions(deps.view, type)])));
    default:
      return { status: 404, body: `no such page\n\n${INDEX}` };
  }
}

function readiness(why: string | undefined): Answer {
  if (why === undefined) return { status: 200, body: "ready\n" };
  return { status: 503, body: `not ready: ${why}\n` };
}

function versions(view: ResourceView, typeUrl: (typeof TYPE_URLS)[number]): object {
  const entries = [...view.all(typeUrl)].map(({ name, version }) => [name, version] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function json(value: unknown): Answer {
  return {
    status: 200,
    contentType: "application/json",
    body: `${JSON.stringify(value, null, 2)}\n`,
  };
}
