/** Notes of Telemetry. */
import { AGE, type CrdNotes, type Note, note } from "../note.ts";
import { ONE_TARGETING, TARGET_COLUMN, TARGETING, WAYPOINT_COLUMN } from "./shared.ts";

const SIDES = "CLIENT, SERVER, or CLIENT_AND_SERVER for both. A waypoint counts as the server.";
const DURATION = { pattern: "^([0-9]+(\\.[0-9]+)?(h|m|s|ms|us))+$" };

const providers: Note = note("Who gets it: names from the mesh's configuration.", {
  fields: { name: "The provider's name." },
});
const match: Note = note("Whose reports it is about.", { fields: { mode: SIDES } });
const named = (about: string): Note =>
  note(about, {
    fields: { name: "Its name.", defaultValue: "What is written where it is absent." },
  });

const override: Note = note("Changes of single metrics; a later one overrides an earlier one.", {
  fields: {
    match: note("The metrics that are changed: all unless given.", {
      fields: {
        metric: "One of Istio's own.",
        customMetric: "Any other, by its name.",
        mode: SIDES,
      },
    }),
    disabled: "Whether the metric is left out.",
    tagOverrides: note("Labels of the metric that are set or removed, by name.", {
      fields: {
        operation: "UPSERT sets it, REMOVE takes it away.",
        value: "For UPSERT, what it is set to.",
      },
    }),
  },
});

const customTag: Note = note("Tags of spans, by name: each from one of these.", {
  itemFacets: { maxProperties: 1 },
  fields: {
    literal: note("Always the same text.", { fields: { value: "The text." } }),
    header: named("A header of the request."),
    environment: named("A variable of the waypoint's environment."),
    formatter: note("Nothing here reads it.", {
      shape: {
        type: "object",
        required: ["value"],
        properties: {
          value: { type: "string", minLength: 1, description: "A format of Envoy's." },
        },
      },
    }),
  },
});

const tracing: Note = note("Spans.", {
  fields: {
    match,
    providers,
    randomSamplingPercentage: note("How many of 100 traces that begin here are kept.", {
      shape: { type: "number", format: "double", minimum: 0, maximum: 100 },
    }),
    disableSpanReporting: "Whether no spans are sent; what belongs to a trace is passed on still.",
    useRequestIdForTraceSampling: "Whether the request's ID decides about the sample.",
    enableIstioTags: "Whether spans have Istio's own tags. True unless given.",
    disableContextPropagation: note("Nothing here reads it.", { shape: { type: "boolean" } }),
    customTags: customTag,
  },
});

export const telemetry: CrdNotes = {
  plural: "telemetries",
  shortNames: ["telemetry"],
  categories: ["istio-io", "telemetry-istio-io"],
  storage: "v1alpha1",
  about: "What is told about traffic: metrics, access logs and spans.",
  columns: [TARGET_COLUMN, WAYPOINT_COLUMN, AGE],
  spec: note("Of several that are for a workload, the narrowest counts.", {
    rules: [ONE_TARGETING],
    fields: {
      ...TARGETING,
      accessLogging: note("Access logs.", {
        fields: {
          match,
          providers,
          disabled: "Whether none is written.",
          filter: note("What is logged: all unless given.", {
            fields: { expression: "A condition in CEL, like response.code >= 400." },
          }),
        },
      }),
      metrics: note("Metrics.", {
        fields: {
          providers,
          reportingInterval: note("How often metrics are told to providers that are told.", {
            facets: DURATION,
          }),
          overrides: override,
        },
      }),
      tracing,
    },
  }),
};
