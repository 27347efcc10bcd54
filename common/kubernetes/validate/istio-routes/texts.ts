/** The texts and small parts of which VirtualServices and DestinationRules are made. */
import { RE2JS } from "re2js";
import { parseIstioDurationMs } from "#common/kubernetes/istio-duration.ts";
import type { IstioStringMatch } from "#common/kubernetes/istio-route-objects.ts";
import { dnsLabel, dnsSubdomain } from "#common/kubernetes/validate/formats.ts";
import {
  anything,
  list,
  type Refusal,
  type Report,
  type Schema,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";
import { exportTarget } from "#common/kubernetes/validate/service-entry.ts";

/** RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export const exportTo: Schema = list<string>(text(exportTarget), {
  unique: (target) => `entry ${target}`,
});

export function headerName(value: string): Refusal | undefined {
  if (TOKEN.test(value)) return undefined;
  return { message: `${JSON.stringify(value)} is no name of a header`, hint: "write x-name" };
}

export function duration(value: string): Refusal | undefined {
  if (parseIstioDurationMs(value) !== undefined) return undefined;
  return { message: `${JSON.stringify(value)} is no duration`, hint: "write 5s, 500ms or 1m" };
}

/** For what would stop or never begin if it took no time. Source: Istio's ValidateDuration. */
export function longDuration(value: string): Refusal | undefined {
  const refusal = duration(value);
  if (refusal !== undefined || (parseIstioDurationMs(value) ?? 0) >= 1) return refusal;
  return { message: `${JSON.stringify(value)} is less than 1ms`, hint: "write 5s or 500ms" };
}

/** A name with or without dots, or `*`, or `*.example.com`. */
export function hostPattern(value: string): Refusal | undefined {
  if (value === "*") return undefined;
  return hostName(value.startsWith("*.") ? value.slice(2) : value);
}

export function hostName(value: string): Refusal | undefined {
  if (dnsSubdomain(value) === undefined) return undefined;
  const message = `${JSON.stringify(value)} is no host`;
  return { message, hint: "like reviews, reviews.shop.svc.cluster.local or api.example.com" };
}

export function subsetName(value: string): Refusal | undefined {
  return dnsLabel(value);
}

/** RE2's syntax, which is what a waypoint runs. */
export function regex(value: string): Refusal | undefined {
  try {
    RE2JS.compile(value);
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { message: `is no RE2 regular expression: ${why}` };
  }
}

const KINDS = ["exact", "prefix", "regex"] as const;

/** At most one of the three. */
export const stringMatch: Schema = strictObject<IstioStringMatch>(
  { exact: text(), prefix: text(), regex: text(regex) },
  {
    check: (match, report) => {
      const [first, second] = KINDS.filter((kind) => match[kind] !== undefined);
      if (second !== undefined) report("error", [second], `cannot be combined with ${first}`);
      if (match.regex === "" || match.prefix === "") report("error", [], "compares with nothing");
    },
  },
);

/** A number with a fraction, which no schema says: `checkPercent` does. */
export const percentage: Schema = strictObject<{ readonly value?: unknown }>(
  { value: anything },
  { check: ({ value }, report) => checkPercent(value, ["value"], report) },
);

export function checkPercent(value: unknown, path: readonly string[], report: Report): void {
  if (value === undefined || (typeof value === "number" && value >= 0 && value <= 100)) return;
  report("error", path, "must be a number from 0 to 100", "write value: 12.5");
}

/** A host with a dot is taken as it stands: `reviews.shop.svc` is no Service's. */
export function checkShortHost(
  host: string,
  path: readonly (string | number)[],
  report: Report,
): void {
  const [name, namespace, svc, ...more] = host.split(".");
  if (svc !== "svc" || more.length > 0) return;
  const hint = `write ${name}.${namespace}.svc.cluster.local`;
  report("warning", path, "is taken as a whole host name", hint);
}
