/**
 * DestinationRule. Sources: istio/api networking/v1alpha3/destination_rule.proto and Istio's
 * admission (pkg/config/validation ValidateDestinationRule).
 */
import type { DestinationRule } from "#common/kubernetes/istio-route-objects.ts";
import { dnsSubdomain } from "#common/kubernetes/validate/formats.ts";
import {
  checkShortHost,
  exportTo,
  hostPattern,
  subsetName,
} from "#common/kubernetes/validate/istio-routes/texts.ts";
import { trafficPolicy } from "#common/kubernetes/validate/istio-routes/traffic-policy.ts";
import { conditions, defineKind, labels } from "#common/kubernetes/validate/metadata.ts";
import {
  list,
  object,
  type Report,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";
import { checkExport } from "#common/kubernetes/validate/service-entry.ts";
import {
  NETWORKING_GROUP,
  NETWORKING_VERSIONS,
} from "#common/kubernetes/validate/workload-entry.ts";

type Spec = DestinationRule["spec"];
type Subset = NonNullable<Spec["subsets"]>[number];

export const destinationRule = defineKind<DestinationRule>({
  kind: "DestinationRule",
  group: NETWORKING_GROUP,
  versions: NETWORKING_VERSIONS,
  name: dnsSubdomain,
  required: ["spec"],
  strict: true,
  fields: {
    spec: strictObject<Spec>(
      {
        host: text(hostPattern),
        trafficPolicy,
        subsets: list<Subset>(
          strictObject({ name: text(subsetName), labels, trafficPolicy }, { required: ["name"] }),
          { unique: ({ name }) => `name ${name}` },
        ),
        exportTo,
        workloadSelector: strictObject({ matchLabels: labels }),
      },
      { required: ["host"], check: checkSpec },
    ),
    status: object({ conditions }),
  },
});

function checkSpec({ host, exportTo: targets = [] }: Spec, report: Report): void {
  checkShortHost(host, ["host"], report);
  checkExport(targets, report);
}
