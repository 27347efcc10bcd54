/**
 * PeerAuthentication. Source: istio/api security/v1beta1/peer_authentication.proto and Istio's
 * admission.
 */
import type { PeerAuthentication } from "#common/kubernetes/objects.ts";
import { dnsSubdomain, portText } from "#common/kubernetes/validate/formats.ts";
import { selector } from "#common/kubernetes/validate/istio-selector.ts";
import { conditions, defineKind } from "#common/kubernetes/validate/metadata.ts";
import { map, object, oneOf, strictObject } from "#common/kubernetes/validate/schema.ts";

const mtls = strictObject({ mode: oneOf("UNSET", "DISABLE", "PERMISSIVE", "STRICT") });

export const peerAuthentication = defineKind({
  kind: "PeerAuthentication",
  group: "security.istio.io",
  versions: ["v1", "v1beta1"],
  name: dnsSubdomain,
  strict: true,
  fields: {
    spec: strictObject<NonNullable<PeerAuthentication["spec"]>>(
      { selector, mtls, portLevelMtls: map(mtls, portText, 1) },
      {
        check: (spec, report) => {
          if (spec.portLevelMtls === undefined) return;
          if (Object.keys(spec.selector?.matchLabels ?? {}).length > 0) return;
          const hint = "add selector.matchLabels";
          report("error", ["portLevelMtls"], "has no effect without a selector", hint);
        },
      },
    ),
    status: object({ conditions }),
  },
});
