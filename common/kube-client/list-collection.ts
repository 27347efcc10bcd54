/** All objects of a collection at one moment, page by page. */
import { KubeApiError, type KubeClient } from "#common/kube-client/kube-client.ts";
import {
  LIST_PAGE_OBJECTS,
  LIST_PAGE_TIMEOUT_MS,
  OBJECTS_PER_LIST,
  PAGED_LIST_ATTEMPTS,
} from "#common/kube-client/limits.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";

export interface Collection {
  readonly path: string;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** As of `KubeRequest`; plain JSON unless said otherwise. */
  readonly accept?: { readonly list: string; readonly watch: string } | undefined;
}

/** Takes the pages of one list; what it took of a list that began again is void. */
export interface PageTaker {
  begin(): void;
  page(items: readonly JsonObject[]): void;
}

interface Page {
  readonly items: readonly JsonObject[];
  readonly resourceVersion: string;
  /** Absent on the last one. */
  readonly next: string | undefined;
}

/** Source: Kubernetes' documentation, "Metadata-only fetches". */
export const METADATA_ONLY = {
  list: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
  watch: "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
};

/**
 * All objects of a collection; `Item`: what the caller knows them to be. Items of a list do not say
 * of which kind and version they are. Throws `KubeApiError`.
 */
export async function listAll<Item = JsonObject>(
  client: KubeClient,
  collection: Collection,
  signal?: AbortSignal,
): Promise<readonly Item[]> {
  let all: Item[] = [];
  const taker: PageTaker = {
    begin: () => {
      all = [];
    },
    page: (items) => {
      for (const item of items as readonly unknown[] as readonly Item[]) all.push(item);
    },
  };
  await listCollection(client, collection, taker, signal);
  return all;
}

/** Returns the resourceVersion that a watch can go on from. Throws `KubeApiError`. */
export async function listCollection(
  client: KubeClient,
  collection: Collection,
  taker: PageTaker,
  signal?: AbortSignal,
): Promise<string> {
  let limit = LIST_PAGE_OBJECTS;
  for (let attempt = 1; ; attempt++) {
    try {
      const pages = attempt > PAGED_LIST_ATTEMPTS ? 0 : limit;
      return await listOnce(client, collection, pages, taker, signal);
    } catch (error) {
      if (!(error instanceof KubeApiError)) throw error;
      if (error.reason === "ResponseTooLarge" && limit > 1) {
        limit = Math.ceil(limit / 8);
        attempt--;
      } else if (!isExpired(error) || attempt > PAGED_LIST_ATTEMPTS) throw error;
    }
  }
}

/** What a client has seen is too old for the server to go on from. */
export function isExpired(error: unknown): boolean {
  if (!(error instanceof KubeApiError)) return false;
  return error.status === 410 || error.reason === "Expired" || error.reason === "Gone";
}

async function listOnce(
  client: KubeClient,
  { path, labelSelector, fieldSelector, accept }: Collection,
  limit: number,
  taker: PageTaker,
  signal: AbortSignal | undefined,
): Promise<string> {
  let next: string | undefined;
  let count = 0;
  const selectors = { labelSelector, fieldSelector };
  taker.begin();
  for (;;) {
    const answer = await client.request({
      method: "GET",
      path,
      query: { ...selectors, limit: limit === 0 ? undefined : String(limit), continue: next },
      ...(accept !== undefined && { accept: accept.list }),
      timeoutMs: LIST_PAGE_TIMEOUT_MS,
      ...(signal !== undefined && { signal }),
    });
    const page = readPage(answer, path);
    count += page.items.length;
    if (count > OBJECTS_PER_LIST) throw badList(path, `has more than ${OBJECTS_PER_LIST} objects`);
    if (page.next !== undefined && page.items.length === 0) throw badList(path, "does not end");
    taker.page(page.items);
    if (page.next === undefined) return page.resourceVersion;
    next = page.next;
  }
}

function readPage(answer: unknown, path: string): Page {
  const { metadata, items } = isJsonObject(answer) ? answer : {};
  const resourceVersion = isJsonObject(metadata) ? metadata.resourceVersion : undefined;
  const list = items ?? (isJsonObject(answer) && "items" in answer ? [] : undefined);
  if (typeof resourceVersion !== "string" || resourceVersion === "" || !Array.isArray(list)) {
    throw badList(path, "is no list");
  }
  const next = isJsonObject(metadata) ? metadata.continue : undefined;
  const isLast = typeof next !== "string" || next === "";
  const objects = (list as readonly unknown[]).filter(isJsonObject);
  if (objects.length < list.length) throw badList(path, "has items that are no objects");
  return { items: objects, resourceVersion, next: isLast ? undefined : next };
}

function badList(path: string, what: string): KubeApiError {
  return new KubeApiError(`GET ${path}: the answer ${what}`, { status: 0, reason: "BadAnswer" });
}
