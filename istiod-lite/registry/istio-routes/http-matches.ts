/** The matches of a VirtualService's http routes in the form in which a waypoint gets them. */
import type { IstioHttpMatch, IstioStringMatch } from "#common/kubernetes/istio-route-objects.ts";
import type { HttpMatch, StringMatch } from "#common/model/waypoint/http-route.ts";
import { isForMesh, type RoutingContext } from "./routing-context.ts";

type StringMatches = Readonly<Record<string, IstioStringMatch>>;

/** Undefined where none of them is for this port of the mesh; empty: every request. */
export function httpMatches(
  matches: readonly IstioHttpMatch[] = [],
  field: string,
  context: RoutingContext,
): readonly HttpMatch[] | undefined {
  if (matches.length === 0) return [];
  const mine = matches.flatMap((match, index) => {
    const isMine = match.port === undefined || match.port === context.port;
    if (!isMine || !isForMesh(match.gateways)) return [];
    context.remarks.unsupported(named({ statPrefix: match.statPrefix }), `${field}[${index}]`);
    return [httpMatch(match, context)];
  });
  return mine.length === 0 ? undefined : mine;
}

function named(fields: Readonly<Record<string, string | undefined>>) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
}

function httpMatch(match: IstioHttpMatch, { mesh }: RoutingContext): HttpMatch {
  const { method, authority, scheme, sourceNamespace = "", sourceLabels = {} } = match;
  const from = sourceNamespace === "" ? undefined : sourceNamespace;
  return {
    ...pathOf(match),
    ...(method !== undefined && { method: text(method) }),
    ...(authority !== undefined && { authority: text(authority) }),
    ...(scheme !== undefined && { scheme: text(scheme) }),
    headers: [...headers(match.headers, false), ...headers(match.withoutHeaders, true)],
    queryParams: Object.entries(match.queryParams ?? {}).map(([name, value]) => ({
      name,
      match: text(value),
    })),
    sourceNamespaces: from === undefined ? [] : [from],
    ...(Object.keys(sourceLabels).length > 0 && {
      sourceWorkloads: mesh.workloadsWith(sourceLabels, from),
    }),
  };
}

/** Istio's prefix goes by characters, not by segments: /a matches /ab. */
function pathOf({ uri, ignoreUriCase }: IstioHttpMatch): Pick<HttpMatch, "path"> {
  if (uri === undefined) return {};
  const { kind, value } = text(uri);
  if (kind === "presence" || kind === "suffix") return {};
  return { path: { kind, value, ...(ignoreUriCase === true && { ignoreCase: true }) } };
}

function headers(matches: StringMatches = {}, invert: boolean): HttpMatch["headers"] {
  return Object.entries(matches).map(([name, value]) => ({
    name: name.toLowerCase(),
    match: text(value),
    ...(invert && { invert }),
  }));
}

export function text({ exact, prefix, regex }: IstioStringMatch): StringMatch {
  if (exact !== undefined) return { kind: "exact", value: exact };
  if (prefix !== undefined) return { kind: "prefix", value: prefix };
  if (regex !== undefined) return { kind: "regex", value: regex };
  return { kind: "presence", value: "" };
}
