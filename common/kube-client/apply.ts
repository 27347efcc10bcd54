/** Single objects: reading, server-side apply, patching, deleting. */
import { KubeApiError, type KubeClient } from "#common/kube-client/kube-client.ts";
import { type KubeReference, objectPath } from "#common/kube-client/resources.ts";

/** As much of an object as its path takes. */
export interface AppliedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export interface ApplyOptions {
  /** Takes fields that another manager owns; otherwise that is a Conflict. Default true. */
  readonly force?: boolean;
  /** `status` applies to the status subresource. */
  readonly subresource?: string;
  /** Checks and answers as if, and stores nothing. */
  readonly dryRun?: boolean;
}

/**
 * Server-side apply: makes what `object` says true, owned by `fieldManager`; fields that it said
 * before and says no more are removed. Returns the object as it is now. Throws `KubeApiError`.
 */
export function applyObject(
  client: KubeClient,
  object: AppliedObject,
  fieldManager: string,
  { force = true, subresource, dryRun = false }: ApplyOptions = {},
): Promise<unknown> {
  const path = objectPath({ ...object.metadata, kind: object.kind, apiVersion: object.apiVersion });
  return client.request({
    method: "PATCH",
    path: subresource === undefined ? path : `${path}/${subresource}`,
    query: {
      fieldManager,
      force: String(force),
      fieldValidation: "Strict",
      dryRun: dryRun ? "All" : undefined,
    },
    body: object,
    // JSON is YAML.
    contentType: "application/apply-patch+yaml",
  });
}

/**
 * The object, or undefined where there is none; `Stored`: what the caller knows it to be. Throws
 * `KubeApiError` for anything else.
 */
export async function getObject<Stored = unknown>(
  client: KubeClient,
  reference: KubeReference,
): Promise<Stored | undefined> {
  try {
    return (await client.request({ method: "GET", path: objectPath(reference) })) as Stored;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

export interface PatchOptions {
  /** Who owns the fields afterwards; by default whoever the server takes the caller for. */
  readonly fieldManager?: string;
  readonly subresource?: string;
}

/**
 * Merges `patch` into the object (RFC 7386). With a `resourceVersion` or a `uid` in its metadata,
 * another one there is a Conflict. Throws `KubeApiError`.
 */
export async function mergePatch(
  client: KubeClient,
  reference: KubeReference,
  patch: object,
  { fieldManager, subresource }: PatchOptions = {},
): Promise<void> {
  const path = objectPath(reference);
  await client.request({
    method: "PATCH",
    path: subresource === undefined ? path : `${path}/${subresource}`,
    query: { fieldManager },
    body: patch,
    contentType: "application/merge-patch+json",
  });
}

export interface DeleteOptions {
  /** Only the object that has it: another one of the same name is a Conflict. */
  readonly uid?: string | undefined;
  /** Seconds that a pod has to end; its own grace period unless given. */
  readonly graceSeconds?: number | undefined;
}

/** Deletes the object, its dependents in the background. False where there is none. */
export async function deleteObject(
  client: KubeClient,
  reference: KubeReference,
  { uid, graceSeconds }: DeleteOptions = {},
): Promise<boolean> {
  const body = {
    apiVersion: "v1",
    kind: "DeleteOptions",
    propagationPolicy: "Background",
    ...(uid !== undefined && { preconditions: { uid } }),
    ...(graceSeconds !== undefined && { gracePeriodSeconds: graceSeconds }),
  };
  try {
    await client.request({ method: "DELETE", path: objectPath(reference), body });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

export function isNotFound(error: unknown): error is KubeApiError {
  return error instanceof KubeApiError && error.status === 404;
}

/** Another one has written meanwhile, or the object is there already. */
export function isConflict(error: unknown): error is KubeApiError {
  return error instanceof KubeApiError && error.status === 409;
}
