/** Telemetry. Source: istio/api telemetry/v1alpha1/telemetry.proto. */
import type { Telemetry } from "#common/kubernetes/l7-policy-objects.ts";
import { dnsSubdomain, notEmpty } from "#common/kubernetes/validate/formats.ts";
import { selector } from "#common/kubernetes/validate/istio-selector.ts";
import { checkTargets, targetRef, targetRefs } from "#common/kubernetes/validate/l7/target-refs.ts";
import { conditions, defineKind } from "#common/kubernetes/validate/metadata.ts";
import {
  list,
  map,
  nullableAnything,
  nullableBoolean,
  object,
  oneOf,
  strictObject,
  text,
  unserved,
} from "#common/kubernetes/validate/schema.ts";

const providers = list(strictObject({ name: text(notEmpty) }, { required: ["name"] }));
const match = strictObject({ mode: oneOf("CLIENT_AND_SERVER", "CLIENT", "SERVER") });

const METRICS = [
  ...["ALL_METRICS", "REQUEST_COUNT", "REQUEST_DURATION", "REQUEST_SIZE", "RESPONSE_SIZE"],
  ...["TCP_OPENED_CONNECTIONS", "TCP_CLOSED_CONNECTIONS", "TCP_SENT_BYTES", "TCP_RECEIVED_BYTES"],
  ...["GRPC_REQUEST_MESSAGES", "GRPC_RESPONSE_MESSAGES"],
];

const metrics = strictObject({
  providers,
  reportingInterval: text(),
  overrides: list(
    strictObject({
      match: strictObject<{ metric?: string; customMetric?: string }>(
        {
          metric: oneOf(...METRICS),
          customMetric: text(notEmpty),
          mode: oneOf("CLIENT_AND_SERVER", "CLIENT", "SERVER"),
        },
        {
          check: ({ metric, customMetric }, report) => {
            if (metric === undefined || customMetric === undefined) return;
            report("error", ["customMetric"], "cannot be combined with metric");
          },
        },
      ),
      disabled: nullableBoolean,
      tagOverrides: map(strictObject({ operation: oneOf("UPSERT", "REMOVE"), value: text() })),
    }),
  ),
});

const named = strictObject({ name: text(notEmpty), defaultValue: text() }, { required: ["name"] });

const tracing = strictObject({
  match,
  providers,
  // A number that may have a fraction: what is given is checked by whoever reads it.
  randomSamplingPercentage: nullableAnything,
  disableSpanReporting: nullableBoolean,
  useRequestIdForTraceSampling: nullableBoolean,
  enableIstioTags: nullableBoolean,
  disableContextPropagation: unserved("warning"),
  customTags: map(
    strictObject({
      literal: strictObject({ value: text(notEmpty) }, { required: ["value"] }),
      header: named,
      environment: named,
      formatter: unserved("warning", "write literal, header or environment"),
    }),
  ),
});

const accessLogging = strictObject({
  match,
  providers,
  disabled: nullableBoolean,
  filter: strictObject({ expression: text() }),
});

export const telemetry = defineKind<Telemetry>({
  kind: "Telemetry",
  group: "telemetry.istio.io",
  versions: ["v1", "v1alpha1"],
  name: dnsSubdomain,
  strict: true,
  fields: {
    spec: strictObject({
      selector,
      targetRef,
      targetRefs,
      accessLogging: list(accessLogging),
      metrics: list(metrics),
      tracing: list(tracing),
    }),
    status: object({ conditions }),
  },
  check: (policy, report) => {
    checkTargets(policy, report);
    policy.spec?.tracing?.forEach(({ randomSamplingPercentage: percent }, i) => {
      if (percent === undefined || (typeof percent === "number" && percent >= 0 && percent <= 100))
        return;
      const path = ["spec", "tracing", i, "randomSamplingPercentage"];
      report("error", path, "must be a number from 0 to 100");
    });
  },
});
