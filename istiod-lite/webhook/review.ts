/**
 * AdmissionReview, admission.k8s.io/v1: what an API server asks and how it is answered. Source:
 * Kubernetes' "Dynamic Admission Control".
 */
import { isJsonObject } from "#common/runtime/json-object.ts";
import { REVIEW_DEPTH } from "./limits.ts";

const API_VERSION = "admission.k8s.io/v1";

/** What of a request decides. */
export interface AdmissionRequest {
  readonly uid: string;
  /** CREATE, UPDATE, DELETE or CONNECT. */
  readonly operation: string;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  /** Plural, in lower case. */
  readonly resource: string;
  /** `status`, `scale`; empty for the object itself. */
  readonly subResource: string;
  readonly namespace: string;
  readonly name: string;
  readonly dryRun: boolean;
  readonly user: string;
  readonly object: unknown;
  readonly oldObject: unknown;
}

export interface Verdict {
  readonly allowed: boolean;
  /** Why not. */
  readonly message?: string;
  readonly warnings: readonly string[];
}

/** A review, or why it is none. */
export type ParsedReview =
  | { readonly request: AdmissionRequest }
  | { readonly request?: undefined; readonly problem: string };

export function parseReview(text: string): ParsedReview {
  if (nestsDeeper(text, REVIEW_DEPTH)) {
    return { problem: `is nested deeper than ${REVIEW_DEPTH} levels` };
  }
  let review: unknown;
  try {
    review = JSON.parse(text);
  } catch {
    return { problem: "is no JSON" };
  }
  if (!isJsonObject(review) || review.kind !== "AdmissionReview") {
    return { problem: "is no AdmissionReview" };
  }
  if (review.apiVersion !== API_VERSION) return { problem: `is no ${API_VERSION}` };
  return isJsonObject(review.request) ? readRequest(review.request) : { problem: "has no request" };
}

function readRequest(request: Readonly<Record<string, unknown>>): ParsedReview {
  const uid = textOf(request.uid);
  const operation = textOf(request.operation);
  if (uid === "" || operation === "") return { problem: "has a request without uid or operation" };
  const { group, version, kind } = fieldsOf(request.kind);
  return {
    request: {
      uid,
      operation,
      kind: { group: textOf(group), version: textOf(version), kind: textOf(kind) },
      resource: textOf(fieldsOf(request.resource).resource),
      subResource: textOf(request.subResource),
      namespace: textOf(request.namespace),
      name: textOf(request.name),
      dryRun: request.dryRun === true,
      user: textOf(fieldsOf(request.userInfo).username),
      object: request.object,
      oldObject: request.oldObject,
    },
  };
}

/** The answer as it is sent. 400 and BadRequest: kubectl then names the file beside the message. */
export function answerReview(uid: string, { allowed, message = "", warnings }: Verdict): string {
  const status = { status: "Failure", message, reason: "BadRequest", code: 400 };
  return JSON.stringify({
    apiVersion: API_VERSION,
    kind: "AdmissionReview",
    response: {
      uid,
      allowed,
      ...(!allowed && { status }),
      ...(warnings.length > 0 && { warnings }),
    },
  });
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return isJsonObject(value) ? value : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Counts brackets outside of texts: before anything that recurses sees them. */
function nestsDeeper(text: string, most: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (quoted) {
      if (character === BACKSLASH) at++;
      else if (character === QUOTE) quoted = false;
    } else if (character === QUOTE) quoted = true;
    else if (character === 0x7b || character === 0x5b) {
      if (++depth > most) return true;
    } else if (character === 0x7d || character === 0x5d) depth--;
  }
  return false;
}
