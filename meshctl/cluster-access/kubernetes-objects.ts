/** Lists of an API server, as commands show them. */

import { isNotFound } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { listAll } from "#common/kube-client/list-collection.ts";
import { collectionPath, resourceOf } from "#common/kube-client/resources.ts";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { ClusterEvent } from "./mesh-cluster.ts";

/** Throws a MeshError where the cluster does not have the kind. */
export async function listObjects(
  client: KubeClient,
  kind: string,
  namespace?: string,
): Promise<readonly KubernetesObject[]> {
  const { apiVersion } = resourceOf(kind);
  const items = await listKind<KubernetesObject>(client, kind, namespace);
  // Items of a list come without the two.
  return items.map((item) => ({ ...item, apiVersion, kind }) as KubernetesObject);
}

async function listKind<Item>(client: KubeClient, kind: string, namespace?: string) {
  const path = collectionPath(kind, namespace);
  return await listAll<Item>(client, { path }).catch((error: unknown) => {
    throw isNotFound(error) ? noSuchKind(kind, error) : error;
  });
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
  const events = await listKind<KubeEvent>(client, "Event", namespace);
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
