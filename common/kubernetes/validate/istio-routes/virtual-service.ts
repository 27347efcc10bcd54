/**
 * VirtualService. Sources: istio/api networking/v1alpha3/virtual_service.proto and Istio's
 * admission (pkg/config/validation ValidateVirtualService).
 */
import type { VirtualService } from "#common/kubernetes/istio-route-objects.ts";
import { dnsSubdomain, notEmpty } from "#common/kubernetes/validate/formats.ts";
import { httpRoute } from "#common/kubernetes/validate/istio-routes/http-route.ts";
import { tcpRoute, tlsRoute } from "#common/kubernetes/validate/istio-routes/l4-route.ts";
import {
  checkShortHost,
  exportTo,
  hostPattern,
} from "#common/kubernetes/validate/istio-routes/texts.ts";
import { conditions, defineKind } from "#common/kubernetes/validate/metadata.ts";
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

type Spec = VirtualService["spec"];

export const virtualService = defineKind<VirtualService>({
  kind: "VirtualService",
  group: NETWORKING_GROUP,
  versions: NETWORKING_VERSIONS,
  name: dnsSubdomain,
  required: ["spec"],
  strict: true,
  fields: {
    spec: strictObject<Spec>(
      {
        hosts: list<string>(text(hostPattern), { unique: (host) => `host ${host}` }),
        gateways: list(text(notEmpty)),
        http: list(httpRoute),
        tls: list(tlsRoute),
        tcp: list(tcpRoute),
        exportTo,
      },
      { check: checkSpec },
    ),
    status: object({ conditions }),
  },
});

function checkSpec(spec: Spec, report: Report): void {
  const { hosts = [], http = [], tls = [], tcp = [] } = spec;
  hosts.forEach((host, index) => {
    checkShortHost(host, ["hosts", index], report);
  });
  checkExport(spec.exportTo ?? [], report);
  if (http.length + tls.length + tcp.length === 0) {
    report("error", [], "has no routes", "give http, tls or tcp");
  }
  if (hosts.length === 0 && tls.length + tcp.length > 0) {
    report("error", ["hosts"], "is required for tls and tcp routes");
  }
  const isDelegate = hosts.length === 0;
  http.forEach((route, index) => {
    if (!isDelegate || route.delegate === undefined) return;
    const message = "is in a VirtualService that others delegate to already";
    report("error", ["http", index, "delegate"], message, "give hosts, or remove it");
  });
  checkUnreachable(http, report);
}

/** Whatever comes after a rule for every request is for none. */
function checkUnreachable(http: Spec["http"] = [], report: Report): void {
  const last = http.findIndex(({ match = [] }) => match.length === 0);
  if (last < 0 || last === http.length - 1) return;
  const hint = "put the rule without a match last";
  report("warning", ["http", last + 1], `is never reached: item ${last} takes all`, hint);
}
