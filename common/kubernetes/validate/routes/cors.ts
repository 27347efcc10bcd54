/** The CORS filter of HTTPRoutes. Source: the HTTPRoute CRD of sigs.k8s.io/gateway-api. */
import type { CorsFilter } from "#common/kubernetes/route-objects.ts";
import { headerName, pattern } from "#common/kubernetes/validate/routes/texts.ts";
import {
  boolean,
  integer,
  list,
  oneOf,
  type Report,
  type Schema,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

const ORIGIN = /^\*$|^https?:\/\/((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?$/;
const MAX_ORIGIN = 253;
const MAX_ITEMS = 64;
const MAX_METHODS = 9;

/** Source: enum of HTTPRouteMatch.method. */
export const HTTP_METHODS = [
  ...(["GET", "HEAD", "POST", "PUT", "DELETE"] as const),
  ...(["CONNECT", "OPTIONS", "TRACE", "PATCH"] as const),
] as const;

const unique = (value: string): string => `entry ${value}`;
const headerNames = list<string>(headerName, { max: MAX_ITEMS, unique });
const origin = text(
  pattern(ORIGIN, MAX_ORIGIN, "origin", "like https://example.com, https://*.example.com or *"),
);

export const corsFilter: Schema = strictObject<CorsFilter>(
  {
    allowOrigins: list<string>(origin, { max: MAX_ITEMS, unique }),
    allowMethods: list<string>(oneOf(...HTTP_METHODS, "*"), { max: MAX_METHODS, unique }),
    allowHeaders: headerNames,
    exposeHeaders: headerNames,
    allowCredentials: boolean,
    maxAge: integer(1),
  },
  { check: checkWildcards },
);

function checkWildcards(filter: CorsFilter, report: Report): void {
  for (const field of ["allowOrigins", "allowMethods", "allowHeaders"] as const) {
    const values = filter[field] ?? [];
    if (values.length < 2 || !values.includes("*")) continue;
    report("error", [field], 'has "*" beside others', "remove the others");
  }
}
