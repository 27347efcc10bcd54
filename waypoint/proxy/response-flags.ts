/** Which of Envoy's response flags stands for a reason. */
import type { ReplyReason } from "../filter/stage.ts";
import type { ResponseFlag } from "./request-record.ts";

const FLAGS: Readonly<Partial<Record<ReplyReason, ResponseFlag>>> = {
  "bad-request": "DPE",
  "external-authorization-denied": "UAEX",
  "external-authorization-error": "UAEX",
  "rate-limited": "RL",
  "rate-limit-error": "RLSE",
  "no-route": "NR",
  "invalid-backend": "NC",
  "fault-abort": "FI",
  "no-healthy-upstream": "UH",
  "upstream-connect-failure": "UF",
  "upstream-reset": "UC",
  "upstream-protocol-error": "UPE",
  "upstream-overflow": "UO",
  "retry-limit": "URX",
  "request-timeout": "UT",
  "upstream-timeout": "UT",
  "limit-reached": "OM",
  "client-left": "DC",
};

/** Undefined: the reason has none, as the refusals of policies. */
export function flagOf(reason: ReplyReason): ResponseFlag | undefined {
  return FLAGS[reason];
}
