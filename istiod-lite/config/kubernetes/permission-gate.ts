/**
 * What the API server says may not be done, and goes on saying for a while, is told once, with the
 * missing verb, and asked for again once a minute, not once per object: a role that lacks a verb is
 * mended by people.
 */
import {
  KubeApiError,
  type KubeClient,
  type KubeRequest,
} from "#common/kube-client/kube-client.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import {
  DENIAL_DOUBT_MS,
  DENIAL_KEPT_MS,
  DENIALS_REMEMBERED,
  DOUBTED_RETRY_MS,
} from "#istiod-lite/config/kubernetes/limits.ts";
import { WRITE_HELD_BACK } from "#istiod-lite/config/source.ts";

/** Source: Kubernetes' authorizer, pkg/endpoints/handlers/responsewriters/errors.go. */
const DENIED_BY_RBAC = /cannot \w+ resource "/;

const VERBS: Readonly<Record<KubeRequest["method"], string>> = {
  GET: "get",
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};

export interface PermissionGateDeps {
  readonly logger: Logger;
  /** Milliseconds; default Date.now. */
  readonly now?: () => number;
}

/** The client; what is denied rejects with MeshError WRITE_HELD_BACK. */
export function permissionGate(client: KubeClient, deps: PermissionGateDeps): KubeClient {
  const { logger, now = Date.now } = deps;
  /** Since when, and when to ask again, by what is asked and where. */
  const denied = new Map<string, { readonly since: number; readonly until: number }>();
  const told = new Set<string>();
  return {
    server: client.server,
    watch: (request) => client.watch(request),
    close: () => client.close(),
    request: async (request) => {
      const { what, where } = askedOf(request);
      const key = `${what} ${where}`;
      const before = denied.get(key);
      if (before !== undefined && now() < before.until) throw heldBack(what);
      try {
        const answer = await client.request(request);
        denied.delete(key);
        if (told.delete(what)) logger.info("allowed again", { what });
        return answer;
      } catch (error) {
        if (!isDenied(error)) throw error;
        if (denied.size >= DENIALS_REMEMBERED) denied.clear();
        const since = before?.since ?? now();
        const isBelieved = now() - since >= DENIAL_DOUBT_MS;
        const pauseMs = isBelieved ? DENIAL_KEPT_MS : DOUBTED_RETRY_MS;
        denied.set(key, { since, until: now() + pauseMs });
        if (isBelieved && !told.has(what)) {
          told.add(what);
          const hint = "compare the ClusterRole with docs/control-plane.md, Permissions";
          logger.error("the API server does not allow it", { what, why: error.message, hint });
        }
        throw heldBack(what, error);
      }
    },
  };
}

function isDenied(error: unknown): error is KubeApiError {
  return (
    error instanceof KubeApiError && error.status === 403 && DENIED_BY_RBAC.test(error.message)
  );
}

function heldBack(what: string, cause?: unknown): MeshError {
  const hint = "compare the ClusterRole with docs/control-plane.md, Permissions";
  return new MeshError(WRITE_HELD_BACK, `istiod-lite may not ${what}`, { cause, hint });
}

/** Verb and resource as RBAC calls them, and the namespace. */
export function askedOf({ method, path }: Pick<KubeRequest, "method" | "path">): {
  readonly what: string;
  readonly where: string;
} {
  const parts = path.split("/").slice(1);
  const inGroup = parts[0] === "apis";
  const rest = parts.slice(inGroup ? 3 : 2);
  const inNamespace = rest[0] === "namespaces" && rest.length > 2;
  const [plural = "", name, sub] = inNamespace ? rest.slice(2) : rest;
  const verb = method === "GET" && name === undefined ? "list" : VERBS[method];
  const group = inGroup ? `.${parts[1]}` : "";
  const what = `${verb} ${plural}${group}${sub === undefined ? "" : `/${sub}`}`;
  return { what, where: inNamespace ? (rest[1] ?? "") : "" };
}
