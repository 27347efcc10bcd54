/** Where routes of a VirtualService lead, and what they do with headers on the way. */
import type { IstioDestination } from "#common/kubernetes/istio-route-objects.ts";
import {
  checkShortHost,
  headerName,
  hostPattern,
  subsetName,
} from "#common/kubernetes/validate/istio-routes/texts.ts";
import {
  integer,
  list,
  map,
  port,
  type Report,
  type Schema,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

export const destination: Schema = strictObject<IstioDestination>(
  {
    host: text(hostPattern),
    subset: text(subsetName),
    port: strictObject({ number: port }, { required: ["number"] }),
  },
  { required: ["host"], check: ({ host }, report) => checkShortHost(host, ["host"], report) },
);

export const weight: Schema = integer(0);

const operations = strictObject({
  set: map(text(), headerOrHost),
  add: map(text(), headerName),
  remove: list(text(headerName)),
});

/** In `set` the host can be given as HTTP/2 names it. */
function headerOrHost(name: string): ReturnType<typeof headerName> {
  return name === ":authority" ? undefined : headerName(name);
}

export const headers: Schema = strictObject({ request: operations, response: operations });

interface Weighted {
  readonly route?: readonly { readonly weight?: number }[];
}

/** Of several destinations one at least has to have a share. */
export function checkWeights({ route = [] }: Weighted, report: Report): void {
  if (route.length < 2) return;
  const sum = route.reduce((total, { weight: share = 0 }) => total + share, 0);
  if (sum > 0) return;
  const hint = "give the destinations weights, like 90 and 10";
  report("error", ["route"], "has several destinations, and the sum of weights is 0", hint);
}
