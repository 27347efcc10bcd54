/**
 * The status of every kind. Istio's field names; what other control planes write beside them is
 * kept.
 */
import type { OpenApi } from "./note.ts";

const text = (description: string): OpenApi => ({ type: "string", description });
const time = (description: string): OpenApi => ({ ...text(description), format: "date-time" });
/** Istio writes a number, or, as protobuf does with 64 bits, its digits. */
const generation = (description: string): OpenApi => ({
  description,
  anyOf: [{ type: "integer" }, { type: "string" }],
  "x-kubernetes-int-or-string": true,
});

const conditions: OpenApi = {
  type: "array",
  description: "What became of the object, one entry for each question.",
  items: {
    type: "object",
    properties: {
      type: text("The question, like ZtunnelAccepted."),
      status: text("True, False or Unknown."),
      reason: text("One word for why."),
      message: text("Why, in a sentence: which field, and what to write instead."),
      observedGeneration: generation("The generation of the object that this is said of."),
      lastTransitionTime: time("When status became what it is."),
      lastProbeTime: time("When this was looked at last."),
    },
  },
};

const validationMessages: OpenApi = {
  type: "array",
  description: "Findings of Istio's analysis, where that runs; istiod-lite writes conditions.",
  items: {
    type: "object",
    properties: {
      documentationUrl: text("Where the finding is explained."),
      level: { ...text("How grave it is."), enum: ["UNKNOWN", "ERROR", "WARNING", "INFO"] },
      type: {
        type: "object",
        description: "Which finding it is.",
        properties: { name: text("In words."), code: text("As a code, like IST0101.") },
      },
    },
  },
};

const addresses: OpenApi = {
  type: "array",
  description: "Addresses that the hosts were given, where the ServiceEntry names none.",
  items: {
    type: "object",
    required: ["value"],
    properties: { value: text("An IP address."), host: text("The host that it stands for.") },
  },
};

export function statusSchema(kind: string): OpenApi {
  const more = kind === "ServiceEntry" ? { addresses } : {};
  return {
    type: "object",
    description: "Written by the control plane.",
    "x-kubernetes-preserve-unknown-fields": true,
    properties: {
      conditions,
      observedGeneration: generation("The generation that the whole status is about."),
      validationMessages,
      ...more,
    },
  };
}
