/** The tls and tcp routes of a VirtualService. */
import type { IstioL4Route } from "#common/kubernetes/istio-route-objects.ts";
import { cidrBlock, dnsLabel, ipOrCidr, notEmpty } from "#common/kubernetes/validate/formats.ts";
import {
  checkWeights,
  destination,
  weight,
} from "#common/kubernetes/validate/istio-routes/destinations.ts";
import { hostPattern } from "#common/kubernetes/validate/istio-routes/texts.ts";
import { labels } from "#common/kubernetes/validate/metadata.ts";
import { list, port, type Schema, strictObject, text } from "#common/kubernetes/validate/schema.ts";

const MATCH = {
  destinationSubnets: list(text(ipOrCidr)),
  port,
  sourceLabels: labels,
  sourceNamespace: text(dnsLabel),
  gateways: list(text(notEmpty)),
};

const route = list(strictObject({ destination, weight }, { required: ["destination"] }), {
  min: 1,
});

export const tlsRoute: Schema = strictObject<IstioL4Route>(
  {
    match: list(
      strictObject(
        { ...MATCH, sniHosts: list(text(hostPattern), { min: 1 }) },
        { required: ["sniHosts"] },
      ),
      { min: 1 },
    ),
    route,
  },
  { required: ["match", "route"], check: checkWeights },
);

export const tcpRoute: Schema = strictObject<IstioL4Route>(
  { match: list(strictObject({ ...MATCH, sourceSubnet: text(cidrBlock) })), route },
  { required: ["route"], check: checkWeights },
);
