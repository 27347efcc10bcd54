/** One way for requests: a rule, with the match of it that they fit. */
import type { HttpMatch, HttpRule } from "#common/model/waypoint/http-route.ts";
import { compilePathRewrite, type PathRewriter } from "./path-rewrite.ts";
import type { Report } from "./regex.ts";
import { compileStringMatch, type StringTest } from "./string-match.ts";

/** The parts of a rule that are worth compiling stand beside it, compiled. */
export interface Route {
  readonly rule: HttpRule;
  /** Absent where the rule has no matches and is for every request. */
  readonly match: HttpMatch | undefined;
  /** `invalid`: the request is answered with 500, for nobody knows the path that was meant. */
  readonly rewritePath: PathRewriter | "invalid" | undefined;
  readonly redirectPath: PathRewriter | "invalid" | undefined;
  /** Of the rule's CORS policy. */
  readonly originTests: readonly StringTest[];
}

export function compileRoute(rule: HttpRule, match: HttpMatch | undefined, report: Report): Route {
  const rewriter = (rewrite: NonNullable<HttpRule["rewrite"]>["path"]): Route["rewritePath"] =>
    rewrite && (compilePathRewrite(rewrite, match, report) ?? "invalid");
  const origins = rule.cors?.allowOrigins ?? [];
  return {
    rule,
    match,
    rewritePath: rewriter(rule.rewrite?.path),
    redirectPath: rewriter(rule.redirect?.path),
    originTests: origins
      .map((origin) => compileStringMatch(origin, report))
      .filter((test) => test !== undefined),
  };
}
