/**
 * What a CRD says beyond what the validators know: the text of a field, and rules that an API
 * server can check by itself.
 */

/** A piece of OpenAPI v3 as a structural schema of Kubernetes holds it. */
export type OpenApi = Readonly<Record<string, unknown>>;

/** A rule in CEL, and what is said where it is broken. */
export interface Rule {
  readonly rule: string;
  readonly message: string;
}

export interface NoteDetails {
  /** Added to the field's own schema: bounds that both Istio's CRDs and the validators have. */
  readonly facets?: OpenApi;
  readonly rules?: readonly Rule[];
  /** The same of what is in a list or a map. */
  readonly itemFacets?: OpenApi;
  readonly itemRules?: readonly Rule[];
  /** Of an object, or of the objects in a list or a map. */
  readonly fields?: Notes;
  /** The whole schema of a field whose shape the validators leave open. */
  readonly shape?: OpenApi;
}

export interface Note extends NoteDetails {
  readonly about: string;
}

/** One for each field that the validators know: a text alone where there is no more to say. */
export type Notes = Readonly<Record<string, string | Note>>;

export function note(about: string, details: NoteDetails): Note {
  return { about, ...details };
}

/** A column of `kubectl get`; with `wide` only of `kubectl get -o wide`. */
export interface Column {
  readonly name: string;
  readonly about: string;
  readonly path: string;
  /** @default string */
  readonly type?: string;
  readonly wide?: true;
}

/** One kind: its names, and what is said about its fields. */
export interface CrdNotes {
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** The version that objects are kept in. Istio's own, so that either CRD can take over. */
  readonly storage: string;
  readonly about: string;
  readonly columns: readonly Column[];
  readonly spec: Note;
}

/** Whether a condition of this type is True, for a column. */
export function conditionPath(type: string, field: "status" | "reason" = "status"): string {
  return `.status.conditions[?(@.type=="${type}")].${field}`;
}

export const AGE: Column = {
  name: "Age",
  about: "Since when the object is there.",
  path: ".metadata.creationTimestamp",
  type: "date",
};
