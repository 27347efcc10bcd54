/** What users of the Helm chart can set, where it stands in the objects, and what is said of it. */

/** `scalar`: the value itself. `yaml`: a map or a list. `extra`: items after those of the list. */
export type SettingForm = "scalar" | "yaml" | "extra";

export interface Setting {
  /** As in values.yaml: "istiod.replicas". */
  readonly name: string;
  readonly comment: string;
  readonly form: SettingForm;
  /** `Kind/name` of the object. */
  readonly object: string;
  /** Where in it; containers, env and volumes by name. */
  readonly path: readonly string[];
}

const ISTIOD = "Deployment/istiod";
const ZTUNNEL = "DaemonSet/ztunnel";
const POD = ["spec", "template", "spec"];
const DISCOVERY = [...POD, "containers", "discovery"];
const PROXY = [...POD, "containers", "istio-proxy"];

export const SETTINGS: readonly Setting[] = [
  {
    name: "istiod.replicas",
    comment: "One is enough for a cluster of one machine.",
    form: "scalar",
    object: ISTIOD,
    path: ["spec", "replicas"],
  },
  {
    name: "istiod.resources",
    comment: "Of each replica.",
    form: "yaml",
    object: ISTIOD,
    path: [...DISCOVERY, "resources"],
  },
  {
    name: "istiod.extraArgs",
    comment: "More of istiod-lite's options, one item each: docs/configuration.md.",
    form: "extra",
    object: ISTIOD,
    path: [...DISCOVERY, "args"],
  },
  {
    name: "istiod.extraEnv",
    comment: "More variables.",
    form: "extra",
    object: ISTIOD,
    path: [...DISCOVERY, "env"],
  },
  {
    name: "ztunnel.resources",
    comment: "Of the ztunnel of each node.",
    form: "yaml",
    object: ZTUNNEL,
    path: [...PROXY, "resources"],
  },
  {
    name: "ztunnel.extraEnv",
    comment: "More variables: docs/configuration.md.",
    form: "extra",
    object: ZTUNNEL,
    path: [...PROXY, "env"],
  },
  {
    name: "ztunnel.tolerations",
    comment: "A node without a ztunnel has no mesh: by default there is one on every node.",
    form: "yaml",
    object: ZTUNNEL,
    path: [...POD, "tolerations"],
  },
];

/** Of every container; the values are `image.repository`, `image.tag` and `image.pullPolicy`. */
export const IMAGE_COMMENT = "Of istiod, ztunnels and waypoints: one image holds them all.";

export const NAMESPACE_COMMENT =
  "Whether the chart makes the namespace istio-system itself, with its Pod Security labels. Helm " +
  "wants it to be there before: kubectl create namespace istio-system.";
