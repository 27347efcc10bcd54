/**
 * What the image holds. The tar (build.ts) and the Dockerfile are two ways to the same content;
 * dockerfile.test.ts compares them.
 */
import { VERSION } from "#common/runtime/version.ts";

/** Of the whole project: one image, whose first argument says which program it is to be. */
export const IMAGE = "ambient-mesh";

/** Whose files only its own programs read, and as which istiod-lite and waypoints run (Istio's). */
export const USER_ID = 1337;

/** Where sources and node_modules are. */
export const APP_DIR = "/opt/ambient-mesh";
export const ENTRYPOINT = "/usr/local/bin/ambient-mesh";
export const NODE = "/usr/local/bin/node";
export const COMPILE_CACHE = `${APP_DIR}/compile-cache`;

/** Debian's architecture names by Node's. */
export const DEBIAN_ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: "amd64",
  arm64: "arm64",
};

/** What Debian's slim image brings of what is needed here. */
export const SLIM_PACKAGES = ["base-files", "dash", "libc6", "libgcc-s1", "libmd0", "libtinfo6"];

/** What the programs need, and why. */
export const PACKAGES: Readonly<Record<string, string>> = {
  "busybox-static": "the shell of the CNI plugin, which runs on any node",
  "ca-certificates": "waypoints that speak TLS with servers outside the mesh",
  libatomic1: "Node",
  "libstdc++6": "Node",
  "netcat-openbsd": "how the CNI plugin calls ztunnel",
  netbase: "names of protocols and services, for nft",
  nftables: "ztunnel's rules in pods and on the node (nft)",
};

/** What apt brings with them. */
export const PACKAGE_DEPENDENCIES = [
  "libbsd0",
  "libedit2",
  "libgmp10",
  "libjansson4",
  "libmnl0",
  "libnftables1",
  "libnftnl11",
  "libxtables12",
];

export const LABELS: Readonly<Record<string, string>> = {
  "org.opencontainers.image.title": IMAGE,
  "org.opencontainers.image.version": VERSION,
};

export const ENVIRONMENT: Readonly<Record<string, string>> = {
  NODE_COMPILE_CACHE: COMPILE_CACHE,
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
};

/** What `meshctl install` and `check --pre` render, in a pod as elsewhere. */
export const MANIFESTS = [
  "manifests/base",
  "manifests/components",
  "manifests/crds",
  "manifests/overlays",
  "manifests/waypoint-class",
] as const;

/** Of the checkout: folders with the programs, and what makes Node find their imports. */
export const SOURCES = [
  "common",
  "istiod-lite",
  ...MANIFESTS,
  "meshctl",
  "package.json",
  "waypoint",
  "ztunnel",
] as const;

/** Programs by the first argument of the entrypoint; tools/image/ambient-mesh.sh knows them. */
export const PROGRAMS: Readonly<Record<string, string>> = {
  "istiod-lite": "istiod-lite/main.ts",
  meshctl: "meshctl/main.ts",
  waypoint: "waypoint/main.ts",
  "uninstall-node": "ztunnel/uninstall-node-main.ts",
  ztunnel: "ztunnel/main.ts",
};

/** Modules of worker threads: what else is loaded at a start. */
export const WORKERS = ["ztunnel/proxy/worker.ts"];

const NOT_SHIPPED = /(\.test|-fixtures?|-arbitraries)\.ts$|\.(proto|md|golden\.txt)$|\/testdata\//;

/** Whether a file below SOURCES belongs into the image: tests and their fixtures do not. */
export function shipsSource(path: string): boolean {
  return !NOT_SHIPPED.test(path);
}

const NOT_LOADED = /\.([cm]?ts|map|md|markdown|swf|cc|hh|h|S|asm|inc|def)$/;
const NOT_LOADED_FOLDER = /^(docs?|tests?|vendor|examples?|musl_[a-z0-9]+)\//;

/**
 * Whether a file of an npm package belongs into the image: what Node loads, and licences. `path` is
 * relative to the package.
 */
export function shipsModuleFile(path: string): boolean {
  return !NOT_LOADED.test(path) && !NOT_LOADED_FOLDER.test(path);
}
