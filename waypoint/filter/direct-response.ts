/** An answer that stands in the route itself. */
import type { Route } from "../route/route.ts";
import type { LocalReply } from "./stage.ts";

/** Undefined where the route does not answer itself. */
export function directReply({ rule }: Route): LocalReply | undefined {
  const { directResponse } = rule;
  if (directResponse === undefined) return undefined;
  const { status, body, headers } = directResponse;
  return {
    status,
    reason: "direct-response",
    body,
    headers: headers.map(({ name, value }) => [name.toLowerCase(), value] as const),
  };
}
