/**
 * Of the validators' checks of texts, those that an API server can do as well. A pattern here takes
 * all that the check takes: what it lets through beyond that is for the webhook.
 */
import {
  dnsLabel,
  dnsSubdomain,
  labelValue,
  notEmpty,
  portText,
} from "#common/kubernetes/validate/formats.ts";
import {
  duration,
  headerName,
  longDuration,
  subsetName,
} from "#common/kubernetes/validate/istio-routes/texts.ts";
import {
  istioDuration,
  headerName as jwtHeaderName,
} from "#common/kubernetes/validate/l7/request-authentication.ts";
import type { TextCheck } from "#common/kubernetes/validate/schema.ts";
import type { OpenApi } from "./note.ts";

const LABEL: OpenApi = { maxLength: 63, pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" };
const DURATION: OpenApi = { pattern: "^([0-9]+(\\.[0-9]+)?(h|m|s|ms|us))+$" };
const HEADER: OpenApi = { pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" };

const FACETS: ReadonlyMap<TextCheck, OpenApi> = new Map<TextCheck, OpenApi>([
  [notEmpty, { minLength: 1 }],
  [dnsLabel, LABEL],
  [subsetName, LABEL],
  [
    dnsSubdomain,
    {
      maxLength: 253,
      pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    },
  ],
  [labelValue, { maxLength: 63 }],
  [portText, { pattern: "^[1-9][0-9]{0,4}$" }],
  [duration, DURATION],
  [longDuration, DURATION],
  [istioDuration, DURATION],
  [headerName, HEADER],
  [jwtHeaderName, HEADER],
]);

export function checkFacets(check: TextCheck | undefined): OpenApi {
  return (check && FACETS.get(check)) ?? {};
}
