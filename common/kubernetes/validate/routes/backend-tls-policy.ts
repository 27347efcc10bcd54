/** BackendTLSPolicy. Source: its CRD in sigs.k8s.io/gateway-api and CEL rules. */
import {
  type BackendTLSPolicy,
  GATEWAY_GROUP,
  type PolicyTarget,
  type SubjectAltName,
} from "#common/kubernetes/route-objects.ts";
import { annotationKey, dnsSubdomain, notEmpty } from "#common/kubernetes/validate/formats.ts";
import { conditions, defineKind } from "#common/kubernetes/validate/metadata.ts";
import { MAX_ITEMS } from "#common/kubernetes/validate/routes/references.ts";
import {
  group,
  hostname,
  kind,
  name,
  pattern,
  preciseHostname,
  sectionName,
  sized,
} from "#common/kubernetes/validate/routes/texts.ts";
import {
  anything,
  list,
  map,
  object,
  oneOf,
  type Report,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

type Spec = BackendTLSPolicy["spec"];
type Validation = Spec["validation"];

const MAX_CA_REFS = 8;
const MAX_SUBJECT_ALT_NAMES = 5;
const MAX_OPTION = 4_096;
const MAX_OPTIONS = 16;
const MAX_TEXT = 253;
const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const WELL_KNOWN = new RegExp(
  `^(System|(${LABEL}(\\.${LABEL})*/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]))$`,
);
const ABSOLUTE_URI = /^(([^:/?#]+):)(\/\/([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?/;

const subjectAltName = strictObject<SubjectAltName>(
  {
    type: oneOf("Hostname", "URI"),
    hostname,
    uri: text(pattern(ABSOLUTE_URI, MAX_TEXT, "URI", "like spiffe://cluster.local/ns/a/sa/b")),
  },
  { required: ["type"], check: checkSubjectAltName },
);

const validation = strictObject<Validation>(
  {
    caCertificateRefs: list(
      strictObject({ group, kind, name }, { required: ["group", "kind", "name"] }),
      { max: MAX_CA_REFS },
    ),
    wellKnownCACertificates: text(
      pattern(WELL_KNOWN, MAX_TEXT, "set of certificates", "write System"),
    ),
    hostname: preciseHostname,
    subjectAltNames: list(subjectAltName, { max: MAX_SUBJECT_ALT_NAMES }),
  },
  { required: ["hostname"], check: checkValidation },
);

export const backendTlsPolicy = defineKind<BackendTLSPolicy>({
  kind: "BackendTLSPolicy",
  group: GATEWAY_GROUP,
  versions: ["v1", "v1alpha3"],
  name: dnsSubdomain,
  required: ["spec"],
  strict: true,
  fields: {
    spec: strictObject<Spec>(
      {
        targetRefs: list(
          strictObject({ group, kind, name, sectionName }, { required: ["group", "kind", "name"] }),
          { min: 1, max: MAX_ITEMS },
        ),
        validation,
        options: map(text(sized(MAX_OPTION, 0)), annotationKey),
      },
      { required: ["targetRefs", "validation"], check: checkSpec },
    ),
    status: object({
      ancestors: list(
        object(
          { ancestorRef: anything, controllerName: text(notEmpty), conditions },
          { required: ["ancestorRef", "controllerName"] },
        ),
      ),
    }),
  },
});

function checkSpec({ targetRefs, options = {} }: Spec, report: Report): void {
  if (Object.keys(options).length > MAX_OPTIONS) {
    report("error", ["options"], `has more than ${MAX_OPTIONS} entries`);
  }
  const firsts = new Map<string, number>();
  const sections = new Set<string>();
  targetRefs.forEach((ref, index) => {
    const target = `${ref.group}/${ref.kind}/${ref.name}`;
    const section = `${target}/${ref.sectionName ?? ""}`;
    const first = firsts.get(target);
    const path = ["targetRefs", index];
    if (sections.has(section)) {
      report("error", path, "is there already", "give each a sectionName of its own");
    } else if (first !== undefined && hasSection(ref) !== hasSection(targetRefs[first])) {
      const message = `and item ${first} are the same target, and not both name a section`;
      report("error", path, message, "give both a sectionName");
    }
    sections.add(section);
    if (first === undefined) firsts.set(target, index);
  });
}

function hasSection(ref: PolicyTarget | undefined): boolean {
  return ref?.sectionName !== undefined;
}

function checkValidation(value: Validation, report: Report): void {
  const hasRefs = (value.caCertificateRefs ?? []).length > 0;
  const hasWellKnown = value.wellKnownCACertificates !== undefined;
  if (hasRefs && hasWellKnown) {
    const message = "excludes caCertificateRefs, and both are given";
    report("error", ["wellKnownCACertificates"], message, "remove one of the two");
  } else if (!hasRefs && !hasWellKnown) {
    const hint = "name a ConfigMap with the key ca.crt, or wellKnownCACertificates: System";
    report("error", ["caCertificateRefs"], "is required but missing", hint);
  }
}

function checkSubjectAltName(value: SubjectAltName, report: Report): void {
  const own = value.type === "Hostname" ? "hostname" : "uri";
  const other = own === "hostname" ? "uri" : "hostname";
  if (value[own] === undefined) report("error", [own], `is required for type ${value.type}`);
  if (value[other] === undefined) return;
  report("error", [other], `does not belong to type ${value.type}`, "remove it");
}
