/**
 * The naive reading of the specification that the compiled matcher is held against: looks at every
 * match of every rule, and compares those that hold by the words of Gateway API one after the
 * other. For tests.
 */
import type {
  HttpMatch,
  HttpRoutes,
  HttpRule,
  StringMatch,
} from "#common/model/waypoint/http-route.ts";
import type { RequestHead } from "../http/message.ts";
import type { Caller } from "./request-view.ts";

interface Fit {
  readonly rule: HttpRule;
  readonly match: HttpMatch | undefined;
}

export function naiveMatch(
  { precedence, rules }: HttpRoutes,
  request: RequestHead,
  caller: Caller,
): Fit | undefined {
  const own = rules.filter(({ consumerNamespace }) => consumerNamespace === caller.namespace);
  const producers = rules.filter(({ consumerNamespace }) => consumerNamespace === undefined);
  const fits = (own.length > 0 ? own : producers)
    .flatMap((rule): Fit[] =>
      rule.matches.length === 0
        ? [{ rule, match: undefined }]
        : rule.matches.map((match) => ({ rule, match })),
    )
    .filter(({ match }) => match === undefined || fitsMatch(match, request, caller));
  if (precedence === "listed" && own.length === 0) return fits[0];
  let best = fits[0];
  for (const fit of fits) if (best !== undefined && isBetter(fit.match, best.match)) best = fit;
  return best;
}

function isBetter(a: HttpMatch | undefined, b: HttpMatch | undefined): boolean {
  const criteria: ((match: HttpMatch | undefined) => number)[] = [
    (match) => (match?.path?.kind === "exact" ? 1 : 0),
    (match) => prefixLength(match),
    (match) => (match?.path?.kind === "regex" ? match.path.value.length : 0),
    (match) => (match?.method === undefined ? 0 : 1),
    (match) => match?.headers.length ?? 0,
    (match) => match?.queryParams.length ?? 0,
  ];
  for (const criterion of criteria) {
    const difference = criterion(a) - criterion(b);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

function prefixLength(match: HttpMatch | undefined): number {
  const { path } = match ?? {};
  if (path?.kind !== "path-prefix" && path?.kind !== "prefix") return 0;
  return path.value.endsWith("/") ? path.value.length - 1 : path.value.length;
}

function fitsMatch(match: HttpMatch, request: RequestHead, caller: Caller): boolean {
  const { method, authority, scheme, sourceNamespaces, sourceWorkloads } = match;
  const host = request.authority.split(":")[0] ?? "";
  const query = new URLSearchParams(request.path.split("?")[1]?.replaceAll("+", "%2B") ?? "");
  return (
    fitsPath(match.path, request.path.split("?")[0] ?? "") &&
    (method === undefined || fitsText(method, request.method)) &&
    (scheme === undefined || fitsText(scheme, request.scheme)) &&
    (authority === undefined ||
      fitsText(authority, host) ||
      fitsText(authority, request.authority)) &&
    (match.grpc !== true ||
      (request.method === "POST" && request.headers.get("content-type") === "application/grpc")) &&
    match.headers.every((header) => fitsNamed(header, request.headers.combined(header.name))) &&
    match.queryParams.every((parameter) =>
      fitsNamed(parameter, query.get(parameter.name) ?? undefined),
    ) &&
    (sourceNamespaces.length === 0 || sourceNamespaces.includes(caller.namespace)) &&
    (sourceWorkloads === undefined || sourceWorkloads.some((uid) => uid === caller.workload))
  );
}

function fitsPath(match: HttpMatch["path"], path: string): boolean {
  if (match === undefined) return true;
  if (match.kind !== "path-prefix") return fitsText({ ...match, kind: match.kind }, path);
  const fold = (text: string): string => (match.ignoreCase ? text.toLowerCase() : text);
  const wanted = fold(match.value).split("/").slice(1);
  if (wanted.at(-1) === "") wanted.pop();
  const found = fold(path).split("/").slice(1);
  return wanted.every((segment, i) => segment === found[i]);
}

function fitsNamed(
  { match, invert }: HttpMatch["headers"][number],
  value: string | undefined,
): boolean {
  return (value !== undefined && fitsText(match, value)) === (invert !== true);
}

function fitsText(match: StringMatch, text: string): boolean {
  if (match.kind === "presence") return true;
  if (match.kind === "regex") {
    return new RegExp(`^(?:${match.value})$`, match.ignoreCase ? "i" : "").test(text);
  }
  const fold = (value: string): string => (match.ignoreCase ? value.toLowerCase() : value);
  const [found, wanted] = [fold(text), fold(match.value)];
  if (match.kind === "exact") return found === wanted;
  return match.kind === "prefix" ? found.startsWith(wanted) : found.endsWith(wanted);
}
