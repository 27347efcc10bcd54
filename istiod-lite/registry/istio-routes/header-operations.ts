/** What a VirtualService does with headers. */
import type { IstioHeaderOperations } from "#common/kubernetes/istio-route-objects.ts";
import type { HeaderModifier } from "#common/model/waypoint/http-route.ts";
import type { Remarks } from "./remarks.ts";

interface Operations {
  readonly modifier: HeaderModifier | undefined;
  /** Of the request, where it is set as if it were a header. */
  readonly authority: string | undefined;
}

const HOST_HEADERS = new Set(["host", ":authority"]);
/** Envoy's substitutions, like %REQ(x-a)% and %DOWNSTREAM_REMOTE_ADDRESS%. */
const SUBSTITUTION = /%[A-Z_]+(\([^)]*\))?(:[0-9]+)?%/;

export function headerOperations(
  { set = {}, add = {}, remove = [] }: IstioHeaderOperations,
  field: string,
  remarks: Remarks,
): Operations {
  const values = (name: string, given: Readonly<Record<string, string>>) =>
    Object.entries(given).flatMap(([header, value]) => {
      if (HOST_HEADERS.has(header.toLowerCase())) return [];
      return [{ name: header.toLowerCase(), value: literal(value, `${field}.${name}`, remarks) }];
    });
  const host = Object.entries(set).find(([header]) => HOST_HEADERS.has(header.toLowerCase()));
  for (const header of Object.keys(add)) {
    if (!HOST_HEADERS.has(header.toLowerCase())) continue;
    remarks.add(`${field}.add.${header}`, "the host cannot be added to: use rewrite.authority");
  }
  const modifier = {
    set: values("set", set),
    add: values("add", add),
    remove: remove.map((header) => header.toLowerCase()),
  };
  const isEmpty = modifier.set.length + modifier.add.length + modifier.remove.length === 0;
  return { modifier: isEmpty ? undefined : modifier, authority: host?.[1] };
}

/** Envoy takes %% for a percent sign. */
function literal(value: string, field: string, remarks: Remarks): string {
  if (SUBSTITUTION.test(value)) {
    remarks.add(field, "Envoy's substitutions (%...%) are not supported: it stands as written");
    return value;
  }
  return value.replaceAll("%%", "%");
}
