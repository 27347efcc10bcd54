/** Notes of what several kinds have. */
import { type Column, conditionPath, type Note, type Notes, note } from "../note.ts";

const NO_WILDCARD_KEYS = {
  rule: 'self.all(key, size(key) > 0 && !key.contains("*"))',
  message: "keys of labels are not empty, and have no wildcards",
};
const NO_WILDCARD_VALUE = {
  rule: '!self.contains("*")',
  message: "values of labels are compared as they are: wildcards match nothing",
};

const matchLabels: Note = note("Labels that a workload has to have, all of them.", {
  facets: { maxProperties: 4_096 },
  rules: [NO_WILDCARD_KEYS],
  itemRules: [NO_WILDCARD_VALUE],
});

export const selector: Note = note(
  "The workloads it is for, by their labels. Without it, and without targets: all of the " +
    "namespace, and in the root namespace all of the mesh.",
  { fields: { matchLabels } },
);

export const workloadMatchLabels = matchLabels;

const target: Notes = {
  group: note("API group of the target; empty for a Service.", {
    facets: {
      maxLength: 253,
      pattern: "^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    },
  }),
  kind: note("Gateway, GatewayClass, Service or ServiceEntry.", {
    facets: { maxLength: 63, pattern: "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$" },
  }),
  name: note("Name of the target, in the namespace of this object.", {
    facets: { maxLength: 253 },
  }),
  namespace: note("The namespace of this object: another one cannot be targeted.", {
    facets: { maxLength: 63 },
  }),
};

export const targetRef: Note = note("One target; targetRefs takes several.", { fields: target });

export const targetRefs: Note = note(
  "What it is attached to: a waypoint (Gateway), all waypoints (GatewayClass), or a " +
    "Service or ServiceEntry that has a waypoint.",
  { fields: target },
);

export const TARGETING = { selector, targetRef, targetRefs };

export const ONE_TARGETING = {
  rule:
    "(has(self.selector) ? 1 : 0) + (has(self.targetRef) ? 1 : 0) + " +
    "(has(self.targetRefs) ? 1 : 0) <= 1",
  message: "only one of selector, targetRef and targetRefs can be given",
};

export const TARGET_COLUMN: Column = {
  name: "Target",
  about: "The first of what it is attached to.",
  path: ".spec.targetRefs[0].name",
};

export const WAYPOINT_COLUMN: Column = {
  name: "Waypoint",
  about: "Whether a waypoint enforces it; empty where none is asked to.",
  path: conditionPath("WaypointAccepted"),
};

export const ZTUNNEL_COLUMN: Column = {
  name: "Ztunnel",
  about: "Whether ztunnels enforce it; empty where none is asked to.",
  path: conditionPath("ZtunnelAccepted"),
};

export const exportTo: Note = note(
  'Namespaces that see it: "*" all, "." its own, "~" none, or names. All unless given.',
  { itemFacets: { pattern: "^(\\*|\\.|~|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$" } },
);
