/**
 * What an image name means where there is no image store: THE place that maps images to programs of
 * this machine. A pod's root is the machine's own files with a private layer on top, so an image
 * decides only what runs when the pod says nothing (entrypoint and arguments, as in the image's own
 * build file) and what is on the PATH. Tags and digests are ignored, registries too.
 *
 * | image                                   | runs                                               |
 * |-----------------------------------------|----------------------------------------------------|
 * | node                                    | this project's Node, as `node`                     |
 * | busybox alpine debian ubuntu            | the machine's shell and tools                      |
 * | curlimages/curl curl/curl               | `curl`                                             |
 * | python                                  | `python3`                                          |
 * | nicolaka/netshoot networkstatic/iperf3  | the machine's network tools                        |
 * | istio/ztunnel                           | this project's ztunnel                             |
 * | istio/proxyv2                           | this project's waypoint                            |
 * | istio/install-cni                       | this project's CNI agent                           |
 * | istio/pilot                             | this project's istiod-lite                         |
 * | registry.k8s.io/pause                   | nothing, for ever                                  |
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Image {
  /** Comes before the pod's `args`; a pod's `command` replaces it. */
  readonly entrypoint: readonly string[];
  /** Used when the pod has neither `command` nor `args`. */
  readonly args: readonly string[];
}

/** The program that runs this project's own files. */
export const NODE_BINARY = process.execPath;
const REPOSITORY = fileURLToPath(new URL("../../..", import.meta.url));

/** The PATH of every container: Node of this project first, then the machine's. */
export const CONTAINER_PATH = [
  dirname(NODE_BINARY),
  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
].join(":");

const SHELL: Image = { entrypoint: [], args: ["sh"] };
const CURL: Image = { entrypoint: ["curl"], args: ["--help"] };

const IMAGES: ReadonlyMap<string, Image> = new Map([
  ["node", { entrypoint: [], args: ["node"] }],
  ["busybox", SHELL],
  ["alpine", SHELL],
  ["debian", SHELL],
  ["ubuntu", SHELL],
  ["python", { entrypoint: [], args: ["python3"] }],
  ["curlimages/curl", CURL],
  ["curl/curl", CURL],
  ["nicolaka/netshoot", SHELL],
  ["networkstatic/iperf3", { entrypoint: ["iperf3"], args: [] }],
  [
    "istio/ztunnel",
    // V8 would let the young generation grow to 40 MB, which never come back, and collect garbage
    // on threads that compete with the traffic: docs/decisions/0002-memory.md and 0006.
    {
      entrypoint: [
        ...[NODE_BINARY, "--max-semi-space-size=2", "--single-threaded-gc", "--v8-pool-size=1"],
        join(REPOSITORY, "ztunnel/main.ts"),
      ],
      args: [],
    },
  ],
  [
    "istio/install-cni",
    { entrypoint: [NODE_BINARY, join(REPOSITORY, "ztunnel/zds-agent-main.ts")], args: [] },
  ],
  [
    "istio/proxyv2",
    // A larger young generation than a ztunnel's: requests make more, and shorter-lived, objects.
    {
      entrypoint: [
        ...[NODE_BINARY, "--max-semi-space-size=8"],
        join(REPOSITORY, "waypoint/main.ts"),
      ],
      args: [],
    },
  ],
  ["istio/pilot", { entrypoint: [NODE_BINARY, join(REPOSITORY, "istiod-lite/main.ts")], args: [] }],
  ["pause", { entrypoint: [], args: ["sleep", "infinity"] }],
]);

/** The image's programs; undefined for an image that nothing here stands for. */
export function findImage(reference: string): Image | undefined {
  return IMAGES.get(imageName(reference));
}

/** For error messages: every image that can be run, sorted. */
export function knownImages(): readonly string[] {
  return [...IMAGES.keys()].sort();
}

const ISTIO_IMAGE = /^(ztunnel|pilot|install-cni|proxyv2)$/;

/**
 * `docker.io/library/node:26-slim@sha256:…` is `node`; `gcr.io/istio-release/pilot` is
 * `istio/pilot`.
 */
function imageName(reference: string): string {
  const path = reference.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
  const parts = path.split("/");
  const [registry = ""] = parts;
  if (parts.length > 1 && /[.:]|^localhost$/.test(registry)) parts.shift();
  const name = parts
    .filter((part, i) => !(i === 0 && parts.length > 1 && part === "library"))
    .join("/");
  const base = parts.at(-1) ?? "";
  if (ISTIO_IMAGE.test(base) && /istio/.test(path)) return `istio/${base}`;
  return base === "pause" ? base : name;
}

/**
 * What a container runs, by Kubernetes' rules for `command` and `args`; undefined for an unknown
 * image.
 */
export function containerArgv(container: {
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
}): readonly string[] | undefined {
  const image = findImage(container.image);
  if (image === undefined) return undefined;
  if (container.command !== undefined) return [...container.command, ...(container.args ?? [])];
  if (container.args === undefined) return [...image.entrypoint, ...image.args];
  return [...image.entrypoint, ...nodeArgs(container.image, container.args)];
}

/** The entrypoint of Node's image puts `node` before arguments that are no command. */
function nodeArgs(image: string, args: readonly string[]): readonly string[] {
  const [first = ""] = args;
  if (imageName(image) !== "node") return args;
  return first.startsWith("-") || /\.[cm]?[jt]s$/.test(first) ? ["node", ...args] : args;
}
