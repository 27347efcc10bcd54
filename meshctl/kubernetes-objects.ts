/** Lists of an API server, in pieces, as commands show them. */
import { isNotFound } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { collectionPath, resourceOf } from "#common/kube-client/resources.ts";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { OBJECTS_PER_LIST } from "#meshctl/limits.ts";
import type { ClusterEvent } from "#meshctl/mesh-cluster.ts";

interface List<Item> {
  readonly metadata?: { readonly continue?: string };
  readonly items?: readonly Item[];
}

/** Throws a MeshError where the cluster does not have the kind. */
export async function listObjects(
  client: KubeClient,
  kind: string,
  namespace?: string,
): Promise<readonly KubernetesObject[]> {
  const { apiVersion } = resourceOf(kind);
  const items = await listAll<KubernetesObject>(client, kind, namespace);
  // Items of a list come without the two.
  return items.map((item) => ({ ...item, apiVersion, kind }) as KubernetesObject);
}

async function listAll<Item>(client: KubeClient, kind: string, namespace?: string) {
  const path = collectionPath(kind, namespace);
  const items: Item[] = [];
  let next: string | undefined;
  do {
    const query = { limit: String(OBJECTS_PER_LIST), continue: next };
    const list = await client.request({ method: "GET", path, query }).catch((error: unknown) => {
      if (isNotFound(error)) throw noSuchKind(kind, error);
      throw error;
    });
    const { metadata, items: some = [] } = list as List<Item>;
    items.push(...some);
    next = metadata?.continue === "" ? undefined : metadata?.continue;
  } while (next !== undefined);
  return items;
}

/** The parts of an Event that are shown. Source: core/v1 Event, also as events.k8s.io writes it. */
interface KubeEvent {
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly count?: number;
  readonly firstTimestamp?: string | null;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string };
  readonly involvedObject: {
    readonly kind: string;
    readonly namespace?: string;
    readonly name: string;
  };
}

/** The latest last. */
export async function listEvents(
  client: KubeClient,
  namespace?: string,
): Promise<readonly ClusterEvent[]> {
  const events = await listAll<KubeEvent>(client, "Event", namespace);
  return events.map(asClusterEvent).sort((a, b) => (a.lastTimestamp < b.lastTimestamp ? -1 : 1));
}

function asClusterEvent(event: KubeEvent): ClusterEvent {
  const { involvedObject, series, reason = "", message = "" } = event;
  const first = event.firstTimestamp ?? event.eventTime ?? "";
  return {
    kind: involvedObject.kind,
    namespace: involvedObject.namespace ?? "",
    name: involvedObject.name,
    type: event.type === "Warning" ? "Warning" : "Normal",
    reason,
    message,
    count: event.count ?? series?.count ?? 1,
    firstTimestamp: first,
    lastTimestamp: event.lastTimestamp ?? series?.lastObservedTime ?? first,
  };
}

function noSuchKind(kind: string, cause: unknown): MeshError {
  const { apiVersion } = resourceOf(kind);
  return new MeshError("NO_SUCH_KIND", `the cluster has no ${kind} (${apiVersion})`, {
    cause,
    hint: apiVersion.startsWith("gateway.networking.k8s.io")
      ? "install the Gateway API's standard channel"
      : "meshctl install",
  });
}
