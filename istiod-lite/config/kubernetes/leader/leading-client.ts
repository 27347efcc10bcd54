/** Lets only the leader write: a lost lease stops what is being written, and what comes after. */
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { LEADER_WRITE_TIMEOUT_MS } from "#istiod-lite/config/kubernetes/limits.ts";
import type { Leadership } from "#istiod-lite/config/leadership.ts";
import { WRITE_HELD_BACK } from "#istiod-lite/config/source.ts";

/** The client; requests of a process that does not lead reject with MeshError WRITE_HELD_BACK. */
export function leadingClient(client: KubeClient, leadership: Leadership): KubeClient {
  return {
    server: client.server,
    watch: (request) => client.watch(request),
    close: () => client.close(),
    request: async (request) => {
      if (!leadership.isLeader) throw heldBack();
      const { signal } = leadership;
      const signals = request.signal === undefined ? [signal] : [signal, request.signal];
      try {
        return await client.request({
          timeoutMs: LEADER_WRITE_TIMEOUT_MS,
          ...request,
          signal: AbortSignal.any(signals),
        });
      } catch (error) {
        throw signal.aborted ? heldBack(error) : error;
      }
    },
  };
}

function heldBack(cause?: unknown): MeshError {
  return new MeshError(WRITE_HELD_BACK, "another replica leads", { cause });
}
