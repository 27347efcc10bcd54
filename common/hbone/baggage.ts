/**
 * The `baggage` header of CONNECT and its answer: what one side tells the other about its workload,
 * for metrics only. Nothing is ever authorized by it. Keys and order are Istio ztunnel's
 * (ambient.md 2.1).
 */
import type { Workload, WorkloadType } from "#common/model/workload.ts";

export interface Baggage {
  readonly cluster?: string;
  readonly namespace?: string;
  readonly workloadType?: WorkloadType;
  readonly workloadName?: string;
  readonly serviceName?: string;
  readonly revision?: string;
  readonly region?: string;
  readonly zone?: string;
}

/** A longer header is not read. */
const MAX_BAGGAGE_CHARACTERS = 8_192;

const WORKLOAD_TYPES: readonly WorkloadType[] = ["deployment", "cronjob", "pod", "job"];

const made = new WeakMap<Workload, string>();

/** The header for a workload; keys without a value are left out. */
export function makeBaggage(workload: Workload): string {
  let baggage = made.get(workload);
  if (baggage === undefined) {
    baggage = writeBaggage(workload);
    made.set(workload, baggage);
  }
  return baggage;
}

function writeBaggage(workload: Workload): string {
  const entries: readonly (readonly [string, string])[] = [
    ["k8s.cluster.name", workload.clusterId],
    ["k8s.namespace.name", workload.namespace],
    [`k8s.${workload.workloadType}.name`, workload.workloadName],
    ["service.name", workload.canonicalName],
    ["service.version", workload.canonicalRevision],
    ["cloud.region", workload.locality.region],
    ["cloud.availability_zone", workload.locality.zone],
  ];
  return entries
    .filter(([, value]) => value !== "")
    .map(([key, value]) => `${key}=${escapeValue(value)}`)
    .join(",");
}

/** Reads what is there and understood; anything else is passed over. Never throws. */
export function parseBaggage(header: string): Baggage {
  if (header.length > MAX_BAGGAGE_CHARACTERS) return {};
  const found: Record<string, string> = {};
  for (const member of header.split(",")) {
    const equals = member.indexOf("=");
    if (equals < 1) continue;
    const field = fieldOf(member.slice(0, equals).trim());
    const value = unescapeValue(withoutProperties(member.slice(equals + 1)).trim());
    if (field === undefined || value === undefined || value === "") continue;
    for (const [key, text] of Object.entries(field(value))) found[key] = text;
  }
  return found;
}

type Field = (value: string) => Readonly<Record<string, string>>;

const FIELDS: Readonly<Record<string, Field>> = {
  "k8s.cluster.name": (cluster) => ({ cluster }),
  "k8s.namespace.name": (namespace) => ({ namespace }),
  "service.name": (serviceName) => ({ serviceName }),
  "service.version": (revision) => ({ revision }),
  "cloud.region": (region) => ({ region }),
  "cloud.availability_zone": (zone) => ({ zone }),
};

function fieldOf(key: string): Field | undefined {
  if (Object.hasOwn(FIELDS, key)) return FIELDS[key];
  const workloadType = WORKLOAD_TYPES.find((type) => key === `k8s.${type}.name`);
  return workloadType && ((workloadName) => ({ workloadType, workloadName }));
}

/** W3C baggage: properties follow the value after a semicolon. */
function withoutProperties(value: string): string {
  const semicolon = value.indexOf(";");
  return semicolon < 0 ? value : value.slice(0, semicolon);
}

// W3C baggage-octet: printable ASCII without space, quote, comma, semicolon, backslash; % escapes.
const NOT_BAGGAGE_OCTET = /[^\x21\x23-\x24\x26-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+/g;

function escapeValue(value: string): string {
  return value.toWellFormed().replace(NOT_BAGGAGE_OCTET, encodeURIComponent);
}

function unescapeValue(value: string): string | undefined {
  try {
    return decodeURIComponent(value);
  } catch {
    // Not an escape sequence of anyone's: the value is not understood.
    return undefined;
  }
}
