/** Every CustomResourceDefinition of manifests/crds, by its file. */
import { stringify } from "yaml";
import { authorizationPolicy } from "#common/kubernetes/validate/authorization-policy.ts";
import { destinationRule } from "#common/kubernetes/validate/istio-routes/destination-rule.ts";
import { virtualService } from "#common/kubernetes/validate/istio-routes/virtual-service.ts";
import { rateLimitPolicy } from "#common/kubernetes/validate/l7/rate-limit-policy.ts";
import { requestAuthentication } from "#common/kubernetes/validate/l7/request-authentication.ts";
import { telemetry } from "#common/kubernetes/validate/l7/telemetry.ts";
import type { KindDefinition } from "#common/kubernetes/validate/metadata.ts";
import { peerAuthentication } from "#common/kubernetes/validate/peer-authentication.ts";
import { serviceEntry } from "#common/kubernetes/validate/service-entry.ts";
import { workloadEntry } from "#common/kubernetes/validate/workload-entry.ts";
import { generateCrd } from "./generate.ts";
import type { CrdNotes, OpenApi } from "./note.ts";
import * as destinationNotes from "./notes/destination-rule.ts";
import * as entryNotes from "./notes/entries.ts";
import * as rateLimitNotes from "./notes/rate-limit-policy.ts";
import * as securityNotes from "./notes/security.ts";
import * as telemetryNotes from "./notes/telemetry.ts";
import * as routeNotes from "./notes/virtual-service.ts";

export const SERVED_KINDS: readonly (readonly [KindDefinition, CrdNotes])[] = [
  [authorizationPolicy, securityNotes.authorizationPolicy],
  [peerAuthentication, securityNotes.peerAuthentication],
  [requestAuthentication, securityNotes.requestAuthentication],
  [telemetry, telemetryNotes.telemetry],
  [serviceEntry, entryNotes.serviceEntry],
  [workloadEntry, entryNotes.workloadEntry],
  [virtualService, routeNotes.virtualService],
  [destinationRule, destinationNotes.destinationRule],
  [rateLimitPolicy, rateLimitNotes.rateLimitPolicy],
];

const HEADER = "# Generated from the validators by `npm run generate:crds`: do not edit.\n";

/** Name of the file in manifests/crds, and its text. */
export function crdFiles(): ReadonlyMap<string, string> {
  const files = SERVED_KINDS.map(([definition, notes]) => {
    const crd = generateCrd(definition, notes);
    return [`${notes.plural}.${definition.group}.yaml`, crdText(crd)] as const;
  });
  const names = files.map(([name]) => name).sort();
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: names,
  };
  return new Map([...files, ["kustomization.yaml", HEADER + stringify(kustomization)]]);
}

function crdText(crd: OpenApi): string {
  return HEADER + stringify(crd, { lineWidth: 100, aliasDuplicateObjects: false });
}
