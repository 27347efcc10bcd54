/**
 * The filters of HTTPRoutes and GRPCRoutes. Source: the CRDs of sigs.k8s.io/gateway-api and their
 * CEL rules.
 */
import type {
  MirrorFilter,
  PathModifier,
  RedirectFilter,
  RouteFilter,
  RouteFilterType,
} from "#common/kubernetes/route-objects.ts";
import { corsFilter } from "#common/kubernetes/validate/routes/cors.ts";
import { externalAuth } from "#common/kubernetes/validate/routes/external-auth.ts";
import { backendReference, MAX_ITEMS } from "#common/kubernetes/validate/routes/references.ts";
import {
  group,
  headerName,
  headerValue,
  kind,
  MAX_PATH,
  name,
  preciseHostname,
  sized,
} from "#common/kubernetes/validate/routes/texts.ts";
import {
  integer,
  list,
  oneOf,
  port,
  type Report,
  type Schema,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

/** The field of each type of filter. */
const FIELD_OF: Readonly<Record<RouteFilterType, keyof RouteFilter>> = {
  RequestHeaderModifier: "requestHeaderModifier",
  ResponseHeaderModifier: "responseHeaderModifier",
  RequestMirror: "requestMirror",
  RequestRedirect: "requestRedirect",
  URLRewrite: "urlRewrite",
  ExtensionRef: "extensionRef",
  CORS: "cors",
  ExternalAuth: "externalAuth",
};
/** Only these may be given more than once. */
const REPEATABLE: ReadonlySet<string> = new Set(["RequestMirror", "ExtensionRef", "ExternalAuth"]);
const REDIRECT_STATUSES: readonly number[] = [301, 302, 303, 307, 308];

const headerValues = list<{ name: string }>(
  strictObject({ name: headerName, value: headerValue }, { required: ["name", "value"] }),
  { max: MAX_ITEMS, unique: (header) => `name ${header.name}` },
);

const headerFilter = strictObject({
  set: headerValues,
  add: headerValues,
  remove: list<string>(text(), { max: MAX_ITEMS, unique: (header) => `name ${header}` }),
});

const replacement = text(sized(MAX_PATH, 0));
const pathModifier = strictObject<PathModifier>(
  {
    type: oneOf("ReplaceFullPath", "ReplacePrefixMatch"),
    replaceFullPath: replacement,
    replacePrefixMatch: replacement,
  },
  { required: ["type"], check: checkPathModifier },
);

const redirect = strictObject<RedirectFilter>(
  {
    scheme: oneOf("http", "https"),
    hostname: preciseHostname,
    path: pathModifier,
    port,
    statusCode: integer(0),
  },
  {
    check: ({ statusCode }, report) => {
      if (statusCode === undefined || REDIRECT_STATUSES.includes(statusCode)) return;
      const message = `${statusCode} is none of ${REDIRECT_STATUSES.join(", ")}`;
      report("error", ["statusCode"], message);
    },
  },
);

const fraction = strictObject<{ numerator: number; denominator?: number }>(
  { numerator: integer(0), denominator: integer(1) },
  {
    required: ["numerator"],
    check: ({ numerator, denominator = 100 }, report) => {
      if (numerator <= denominator) return;
      report("error", ["numerator"], `${numerator} is more than the denominator ${denominator}`);
    },
  },
);

const mirror = strictObject<MirrorFilter>(
  { backendRef: backendReference, percent: integer(0, 100), fraction },
  {
    required: ["backendRef"],
    check: (filter, report) => {
      if (filter.percent === undefined || filter.fraction === undefined) return;
      report("error", ["fraction"], "excludes percent, and both are given", "remove one of them");
    },
  },
);

const SHARED_FIELDS = {
  requestHeaderModifier: headerFilter,
  responseHeaderModifier: headerFilter,
  requestMirror: mirror,
  extensionRef: strictObject({ group, kind, name }, { required: ["group", "kind", "name"] }),
};

function filters(types: readonly RouteFilterType[], fields: Record<string, Schema>): Schema {
  const filter = strictObject<RouteFilter>(
    { type: oneOf(...types), ...fields },
    { required: ["type"], check: checkFilter },
  );
  return list<RouteFilter>(filter, {
    max: MAX_ITEMS,
    unique: ({ type }) => (REPEATABLE.has(type) ? undefined : `type ${type}`),
  });
}

export const grpcFilters: Schema = filters(
  ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"],
  SHARED_FIELDS,
);

export const httpFilters: Schema = filters(Object.keys(FIELD_OF) as RouteFilterType[], {
  ...SHARED_FIELDS,
  requestRedirect: redirect,
  urlRewrite: strictObject({ hostname: preciseHostname, path: pathModifier }),
  cors: corsFilter,
  externalAuth,
});

/** A filter has the field of its type and that of no other. */
function checkFilter(filter: RouteFilter, report: Report): void {
  const own = FIELD_OF[filter.type];
  if (filter[own] === undefined) report("error", [own], `is required for type ${filter.type}`);
  for (const field of Object.keys(filter)) {
    if (field === "type" || field === own) continue;
    const hint = `remove it, or write it as a filter of its own; type ${filter.type} has ${own}`;
    report("error", [field], `does not belong to type ${filter.type}`, hint);
  }
}

function checkPathModifier(modifier: PathModifier, report: Report): void {
  const fields = {
    ReplaceFullPath: "replaceFullPath",
    ReplacePrefixMatch: "replacePrefixMatch",
  } as const;
  for (const [type, field] of Object.entries(fields)) {
    const given = modifier[field] !== undefined;
    if (type === modifier.type && !given) report("error", [field], `is required for type ${type}`);
    if (type === modifier.type || !given) continue;
    report("error", [field], `does not belong to type ${modifier.type}`, `write type: ${type}`);
  }
}

/** A redirect answers itself; together with a rewrite, one of the two would be lost. */
export function checkFilterCombination(
  given: readonly RouteFilter[] | undefined,
  path: readonly (string | number)[],
  report: Report,
): void {
  const types = (given ?? []).map(({ type }) => type);
  if (!types.includes("RequestRedirect") || !types.includes("URLRewrite")) return;
  const message = "has both RequestRedirect and URLRewrite";
  report("error", path, message, "a redirect changes the path by its own field path");
}

/** Whether a filter replaces the prefix that the match names. */
export function replacesPrefix(filter: RouteFilter): boolean {
  const paths = [filter.requestRedirect?.path, filter.urlRewrite?.path];
  return paths.some((path) => path?.type === "ReplacePrefixMatch");
}
