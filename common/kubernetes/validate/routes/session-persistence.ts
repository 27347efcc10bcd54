/**
 * Session persistence of HTTPRoutes and GRPCRoutes, in the shape that it had up to Gateway API 1.6
 * and in that since 1.7.
 */
import { duration, headerName, MAX_PATH, sized } from "#common/kubernetes/validate/routes/texts.ts";
import {
  oneOf,
  type Report,
  type Schema,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

interface Cookie {
  readonly lifetimeType?: "Permanent" | "Session";
}

interface SessionPersistence {
  readonly type?: "Cookie" | "Header";
  readonly absoluteTimeout?: string;
  readonly cookieConfig?: Cookie;
  readonly cookie?: Cookie;
  readonly header?: object;
}

const MAX_SESSION_NAME = 128;
const lifetimeType = oneOf("Permanent", "Session");

export const sessionPersistence: Schema = strictObject<SessionPersistence>(
  {
    type: oneOf("Cookie", "Header"),
    sessionName: text(sized(MAX_SESSION_NAME, 0)),
    absoluteTimeout: duration,
    idleTimeout: duration,
    cookieConfig: strictObject({ lifetimeType }),
    cookie: strictObject({ lifetimeType, name: headerName, path: text(sized(MAX_PATH, 0)) }),
    header: strictObject({ name: headerName }, { required: ["name"] }),
  },
  { check: checkPersistence },
);

function checkPersistence(value: SessionPersistence, report: Report): void {
  const { type = "Cookie" } = value;
  for (const field of ["cookieConfig", "cookie"] as const) {
    const cookie = value[field];
    if (cookie === undefined) continue;
    if (type !== "Cookie") report("error", [field], `does not belong to type ${type}`);
    if (cookie.lifetimeType !== "Permanent" || value.absoluteTimeout !== undefined) continue;
    report("error", ["absoluteTimeout"], "is required for a cookie of lifetimeType Permanent");
  }
  if (value.header !== undefined && type !== "Header") {
    report("error", ["header"], `does not belong to type ${type}`, "write type: Header");
  }
}
