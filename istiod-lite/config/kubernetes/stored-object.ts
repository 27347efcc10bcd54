/** Objects as an API server stores them, as far as writing to them needs to know. */
import { isNotFound } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { type KubeReference, objectPath } from "#common/kube-client/resources.ts";

/** Who we are in an object's managedFields and Events. */
export const FIELD_MANAGER = "istiod-lite";

export interface StoredObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly {
      readonly kind: string;
      readonly name: string;
      readonly uid?: string;
    }[];
    readonly managedFields?: readonly { readonly manager?: string; readonly operation?: string }[];
  };
  readonly status?: Readonly<Record<string, unknown>>;
}

/** The object, or undefined where there is none. Throws KubeApiError for anything else. */
export async function getStored(
  client: KubeClient,
  reference: KubeReference,
): Promise<StoredObject | undefined> {
  try {
    const path = objectPath(reference);
    return (await client.request({ method: "GET", path })) as StoredObject;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
