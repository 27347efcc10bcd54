/** Single objects: server-side apply, reading, deleting. */
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

/** The object, or undefined where there is none. Throws `KubeApiError` for anything else. */
export async function getObject(client: KubeClient, reference: KubeReference): Promise<unknown> {
  try {
    return await client.request({ method: "GET", path: objectPath(reference) });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/**
 * Deletes the object, its dependents in the background. False where there is none. With `uid`, only
 * the object that has it: another one of the same name is a Conflict.
 */
export async function deleteObject(
  client: KubeClient,
  reference: KubeReference,
  { uid }: { readonly uid?: string | undefined } = {},
): Promise<boolean> {
  const preconditions = uid === undefined ? {} : { preconditions: { uid } };
  const body = {
    apiVersion: "v1",
    kind: "DeleteOptions",
    propagationPolicy: "Background",
    ...preconditions,
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
