/** Notes of RateLimitPolicy, our own kind. */
import { AGE, type CrdNotes, conditionPath, type Note, note } from "../note.ts";
import { TARGET_COLUMN, targetRefs, WAYPOINT_COLUMN } from "./shared.ts";

const DURATION = "like 1s, 1m or 1h30m";

const match: Note = note("Requests that it counts, where one of these fits. All unless given.", {
  fields: {
    pathPrefix: "The path begins so.",
    methods: "Methods, of which the request has one.",
    headers: note("Headers that it has, all of them.", {
      fields: { name: "The name.", value: "The value, exactly." },
    }),
  },
});

const key: Note = note("What is counted apart: each combination has a count of its own.", {
  itemRules: [
    {
      rule: '(self.type in ["Header", "Claim", "Constant"]) == has(self.name)',
      message: "name belongs to the types Header, Claim and Constant, which need it",
    },
  ],
  fields: {
    type: "Identity, SourceIP, Path and Method are the request's; Header and Claim are named.",
    name: "Name of the header or claim, or the constant itself.",
  },
});

const limit: Note = note("Each of them can refuse a request.", {
  itemRules: [
    {
      rule: "has(self.local) || has(self.global)",
      message: "limits nothing: give local, or global, or both",
    },
  ],
  fields: {
    matches: match,
    keys: key,
    local: note("Counted by each replica of the waypoint for itself.", {
      fields: {
        requests: "How many.",
        per: `In how long, ${DURATION}.`,
        burst: "How many at once; as many as requests unless given.",
      },
    }),
    global: note("Counted by a service, for all replicas together.", {
      fields: {
        service: note("Who counts: it speaks Envoy's rate limit API.", {
          fields: {
            name: "Name of the Service.",
            namespace: "This one unless given.",
            port: "Its port.",
          },
        }),
        domain: "The name under which it counts.",
        timeout: `How long it is waited for, ${DURATION}.`,
        failureMode: "What becomes of requests while it does not answer. Allow unless given.",
      },
    }),
  },
});

export const rateLimitPolicy: CrdNotes = {
  plural: "ratelimitpolicies",
  shortNames: ["rlp"],
  categories: [],
  storage: "v1alpha1",
  about: "How many requests a waypoint lets through.",
  columns: [
    TARGET_COLUMN,
    WAYPOINT_COLUMN,
    {
      name: "Reason",
      about: "Why.",
      path: conditionPath("WaypointAccepted", "reason"),
      wide: true,
    },
    AGE,
  ],
  spec: note("Limits, and where they hold.", { fields: { targetRefs, limits: limit } }),
};
