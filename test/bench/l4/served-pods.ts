/** Pods for one stock ztunnel, from the ZDS server that our CNI agent has. */
import { MeshError } from "#common/runtime/errors.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { type ZdsServedPod, ZdsServer } from "#ztunnel/zds/zds-server.ts";

export interface ServedPods {
  /** Resolves when ztunnel serves all of them; rejects with its reason for refusing one. */
  readonly served: Promise<void>;
  close(): void;
}

export function servePods(path: string, pods: readonly ZdsServedPod[]): ServedPods {
  const missing = new Set(pods.map(({ uid }) => uid));
  const all = Promise.withResolvers<void>();
  const onAnswer = (uid: string, error: string): void => {
    if (error !== "") all.reject(new MeshError("ZDS_REFUSED", `${uid}: ${error}`));
    missing.delete(uid);
    if (missing.size === 0) all.resolve();
  };
  // Whoever closes before the answers came does not want to hear of it.
  all.promise.catch(() => undefined);
  const log = createLogger({ level: "error", format: "text", write: () => undefined });
  const server = new ZdsServer({ path, log, onAnswer });
  for (const pod of pods) server.add(pod);
  server.listen();
  return { served: all.promise, close: () => server.close() };
}
