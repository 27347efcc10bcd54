/** The http routes of a VirtualService. */
import type { IstioHttpMatch, IstioHttpRoute } from "#common/kubernetes/istio-route-objects.ts";
import { dnsLabel, notEmpty } from "#common/kubernetes/validate/formats.ts";
import {
  checkWeights,
  destination,
  headers,
  weight,
} from "#common/kubernetes/validate/istio-routes/destinations.ts";
import {
  corsPolicy,
  directResponse,
  fault,
  redirect,
  retries,
  rewrite,
} from "#common/kubernetes/validate/istio-routes/http-actions.ts";
import {
  checkPercent,
  duration,
  headerName,
  percentage,
  stringMatch,
} from "#common/kubernetes/validate/istio-routes/texts.ts";
import { labels } from "#common/kubernetes/validate/metadata.ts";
import {
  boolean,
  list,
  map,
  nullableAnything,
  port,
  type Report,
  type Schema,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

/** Names that Istio ignores among headers, for they have fields of their own. */
const FIELDS_OF_THEIR_OWN = new Set(["uri", "scheme", "method", "authority"]);

const match = strictObject<IstioHttpMatch>(
  {
    name: text(),
    uri: stringMatch,
    scheme: stringMatch,
    method: stringMatch,
    authority: stringMatch,
    headers: map(stringMatch, headerName),
    withoutHeaders: map(stringMatch, headerName),
    queryParams: map(stringMatch, notEmpty),
    port,
    sourceLabels: labels,
    sourceNamespace: text(dnsLabel),
    gateways: list(text(notEmpty)),
    ignoreUriCase: boolean,
    statPrefix: text(),
  },
  {
    check: (value, report) => {
      for (const field of ["headers", "withoutHeaders"] as const) {
        for (const name of Object.keys(value[field] ?? {})) {
          if (!FIELDS_OF_THEIR_OWN.has(name)) continue;
          const hint = `for the request's own, write ${name}: beside headers`;
          report("warning", [field, name], "is taken as the header of that name", hint);
        }
      }
    },
  },
);

const mirrors = list(strictObject({ destination, percentage }, { required: ["destination"] }));

export const httpRoute: Schema = strictObject<IstioHttpRoute>(
  {
    name: text(),
    match: list(match),
    route: list(strictObject({ destination, weight, headers }, { required: ["destination"] })),
    redirect,
    directResponse,
    delegate: strictObject({ name: text(notEmpty), namespace: text() }),
    rewrite,
    timeout: text(duration),
    retries,
    fault,
    mirror: destination,
    mirrors,
    mirrorPercentage: percentage,
    mirrorPercent: nullableAnything,
    corsPolicy,
    headers,
  },
  { aliases: { mirror_percent: "mirrorPercent" }, check: checkRoute },
);

const ACTIONS = ["route", "redirect", "directResponse", "delegate"] as const;

/** Source: Istio's admission: one thing becomes of a request. */
function checkRoute(route: IstioHttpRoute, report: Report): void {
  const given = ACTIONS.filter((action) =>
    action === "route" ? (route.route ?? []).length > 0 : route[action] !== undefined,
  );
  const [first, second] = given;
  if (first === undefined) {
    const hint = "give route, redirect or directResponse";
    report("error", [], "says of no request what becomes of it", hint);
  } else if (second !== undefined) {
    report("error", [second], `cannot be combined with ${first}`);
  }
  if (first === "redirect" || first === "directResponse") checkNotForwarded(route, first, report);
  if (route.mirror !== undefined && (route.mirrors ?? []).length > 0) {
    report("error", ["mirrors"], "cannot be combined with mirror", "move mirror into mirrors");
  }
  checkPercent(route.mirrorPercent, ["mirrorPercent"], report);
  checkWeights(route, report);
}

/** What only requests have that are sent on. */
const OF_FORWARDED = ["fault", "rewrite", "timeout", "retries", "mirror", "mirrors"] as const;

function checkNotForwarded(route: IstioHttpRoute, action: string, report: Report): void {
  for (const field of OF_FORWARDED) {
    if (route[field] === undefined) continue;
    const severity = field === "fault" || field === "rewrite" ? "error" : "warning";
    report(severity, [field], `has no effect beside ${action}`, "remove it");
  }
}
