/** Objects as an API server stores them, as far as writing to them needs to know. */

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
