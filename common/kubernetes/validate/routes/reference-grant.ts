/** ReferenceGrant. Source: its CRD in sigs.k8s.io/gateway-api. */
import { GATEWAY_GROUP, type ReferenceGrant } from "#common/kubernetes/route-objects.ts";
import { dnsSubdomain } from "#common/kubernetes/validate/formats.ts";
import { defineKind } from "#common/kubernetes/validate/metadata.ts";
import { MAX_ITEMS } from "#common/kubernetes/validate/routes/references.ts";
import { group, kind, name, namespaceName } from "#common/kubernetes/validate/routes/texts.ts";
import { list, strictObject } from "#common/kubernetes/validate/schema.ts";

const from = strictObject(
  { group, kind, namespace: namespaceName },
  { required: ["group", "kind", "namespace"] },
);
const to = strictObject({ group, kind, name }, { required: ["group", "kind"] });

export const referenceGrant = defineKind<ReferenceGrant>({
  kind: "ReferenceGrant",
  group: GATEWAY_GROUP,
  versions: ["v1", "v1beta1"],
  name: dnsSubdomain,
  required: ["spec"],
  strict: true,
  fields: {
    spec: strictObject<ReferenceGrant["spec"]>(
      {
        from: list(from, { min: 1, max: MAX_ITEMS }),
        to: list(to, { min: 1, max: MAX_ITEMS }),
      },
      { required: ["from", "to"] },
    ),
  },
});
