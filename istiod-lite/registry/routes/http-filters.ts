/** The filters of HTTPRoutes and GRPCRoutes in the form in which a waypoint gets them. */
import type {
  CorsFilter,
  HeaderFilter,
  HeaderValue,
  MirrorFilter,
  PathModifier,
  RedirectFilter,
  RouteFilter,
} from "#common/kubernetes/route-objects.ts";
import type { HeaderModifier, HttpRule, StringMatch } from "#common/model/waypoint/http-route.ts";
import { unique } from "./http-matches.ts";
import type { Resolved } from "./resolve-backend.ts";
import type { RuleIssues } from "./route-issue.ts";

type Filters = Pick<
  HttpRule,
  "requestHeaders" | "responseHeaders" | "rewrite" | "redirect" | "cors" | "mirrors"
>;
type Resolve = (ref: MirrorFilter["backendRef"]) => Resolved;

/** Source: HTTPRoute's defaults. */
const REDIRECT_STATUS = 302;
const CORS_MAX_AGE_SECONDS = 5;
const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: "80", https: "443" };

/** A filter that is not known must not be skipped: then the rule as a whole is unsupported. */
export function ruleFilters(
  filters: readonly RouteFilter[] = [],
  issues: RuleIssues,
  resolve: Resolve,
): Filters {
  const mirrors: HttpRule["mirrors"][number][] = [];
  let result: Filters = { mirrors };
  filters.forEach((filter, index) => {
    const field = `filters[${index}]`;
    const { requestMirror } = filter;
    if (filter.type === "RequestMirror" && requestMirror !== undefined) {
      const to = resolve(requestMirror.backendRef);
      if (to.backend !== undefined) mirrors.push(mirrorOf(requestMirror, to.backend));
      else issues.add(`${field}.requestMirror.backendRef`, to.message, to.cause);
      return;
    }
    const made = singleFilter(filter);
    if (made !== undefined) result = { ...result, ...made };
    else refuse(filter, field, issues);
  });
  return result;
}

/** Only header modifiers can be had for one backend alone. */
export function backendFilters(
  filters: readonly RouteFilter[] = [],
  backend: string,
  issues: RuleIssues,
): Pick<Filters, "requestHeaders" | "responseHeaders"> {
  let result = {};
  filters.forEach((filter, index) => {
    const made = headerFilter(filter);
    if (made !== undefined) result = { ...result, ...made };
    else {
      const message = `${filter.type} cannot be had for one backend: move it to the rule's filters`;
      issues.unsupported(`${backend}.filters[${index}]`, message);
    }
  });
  return result;
}

function refuse(filter: RouteFilter, field: string, issues: RuleIssues): void {
  const { extensionRef } = filter;
  if (filter.type !== "ExtensionRef" || extensionRef === undefined) {
    issues.unsupported(field, `${filter.type} is not supported`);
    return;
  }
  const message = `nothing here implements filters of kind ${extensionRef.kind}`;
  issues.add(`${field}.extensionRef`, message, { kind: "reference", reason: "InvalidKind" });
  issues.unsupported(field, message);
}

function singleFilter(filter: RouteFilter): Partial<Filters> | undefined {
  const { type, requestRedirect, urlRewrite, cors } = filter;
  if (type === "RequestRedirect" && requestRedirect)
    return { redirect: redirectOf(requestRedirect) };
  if (type === "CORS" && cors) return { cors: corsOf(cors) };
  if (type === "URLRewrite" && urlRewrite) {
    const { hostname, path } = urlRewrite;
    return {
      rewrite: {
        ...(hostname !== undefined && { authority: hostname }),
        ...(path !== undefined && { path: pathOf(path) }),
      },
    };
  }
  return headerFilter(filter);
}

function headerFilter(
  filter: RouteFilter,
): Pick<Filters, "requestHeaders" | "responseHeaders"> | undefined {
  const { type, requestHeaderModifier, responseHeaderModifier } = filter;
  if (type === "RequestHeaderModifier" && requestHeaderModifier) {
    return { requestHeaders: headersOf(requestHeaderModifier) };
  }
  if (type === "ResponseHeaderModifier" && responseHeaderModifier) {
    return { responseHeaders: headersOf(responseHeaderModifier) };
  }
  return undefined;
}

function headersOf({ set = [], add = [], remove = [] }: HeaderFilter): HeaderModifier {
  const values = (headers: readonly HeaderValue[]) =>
    unique(headers, (name) => name.toLowerCase()).map(({ name, value }) => ({
      name: name.toLowerCase(),
      value,
    }));
  const removed = new Set(remove.map((name) => name.toLowerCase()));
  return { set: values(set), add: values(add), remove: [...removed] };
}

function pathOf({ type, replaceFullPath, replacePrefixMatch }: PathModifier) {
  if (type === "ReplaceFullPath") return { kind: "full" as const, value: replaceFullPath ?? "/" };
  return { kind: "prefix" as const, value: replacePrefixMatch ?? "/" };
}

function redirectOf(filter: RedirectFilter): NonNullable<HttpRule["redirect"]> {
  const { scheme, hostname, port, path, statusCode } = filter;
  return {
    ...(scheme !== undefined && { scheme }),
    ...(hostname !== undefined && { hostname }),
    ...(port !== undefined && { port }),
    ...(path !== undefined && { path: pathOf(path) }),
    status: statusCode ?? REDIRECT_STATUS,
  };
}

function mirrorOf(
  { percent, fraction }: MirrorFilter,
  backend: HttpRule["mirrors"][number]["backend"],
): HttpRule["mirrors"][number] {
  if (fraction === undefined) return { backend, percent: percent ?? 100 };
  return { backend, percent: (100 * fraction.numerator) / (fraction.denominator ?? 100) };
}

function corsOf(filter: CorsFilter): NonNullable<HttpRule["cors"]> {
  return {
    allowOrigins: (filter.allowOrigins ?? []).map(originOf),
    allowMethods: filter.allowMethods ?? [],
    allowHeaders: filter.allowHeaders ?? [],
    exposeHeaders: filter.exposeHeaders ?? [],
    maxAgeSeconds: filter.maxAge ?? CORS_MAX_AGE_SECONDS,
    allowCredentials: filter.allowCredentials ?? false,
  };
}

/** Browsers write origins in lower case and leave their scheme's own port out (RFC 6454). */
function originOf(origin: string): StringMatch {
  if (origin === "*") return { kind: "presence", value: "" };
  const [, scheme = "", host = "", port] =
    /^(https?):\/\/([^:]+)(?::([0-9]+))?$/.exec(origin.toLowerCase()) ?? [];
  const tail = port === undefined || port === DEFAULT_PORTS[scheme] ? "" : `:${port}`;
  if (!host.startsWith("*")) return { kind: "exact", value: `${scheme}://${host}${tail}` };
  // The star stands for any labels: what follows it is a suffix of the host.
  const suffix = `${host.slice(1)}${tail}`.replaceAll(".", "\\.");
  return { kind: "regex", value: `${scheme}://[^/:]+${suffix}` };
}
