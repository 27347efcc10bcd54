/** The workload selector of Istio's policies. */
import type { LabelSelector } from "#common/kubernetes/objects.ts";
import { labelKey, labelValue } from "#common/kubernetes/validate/formats.ts";
import { map, type Schema, strictObject, text } from "#common/kubernetes/validate/schema.ts";

/**
 * Labels that no object can carry are refused: such a policy would silently apply to nothing. An
 * empty selector is legal and applies to the whole namespace, which is hardly what its writer
 * meant.
 */
export const selector: Schema = strictObject<LabelSelector>(
  { matchLabels: map(text(labelValue), labelKey) },
  {
    check: (value, report) => {
      if (Object.keys(value.matchLabels ?? {}).length > 0) return;
      const message = "has no labels, so the policy applies to every workload of the namespace";
      report("warning", [], message, "add matchLabels, or remove the selector");
    },
  },
);
