/** The programs that the harness builds from Go modules, and how. go.mod and go.sum pin them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface GoProgram {
  readonly name: string;
  /** The folder under modules/ whose go.mod and go.sum pin what is built. */
  readonly module: string;
  /** The import path of its main package. */
  readonly package: string;
  readonly tags?: string;
  /** Values of string variables, by their full name. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** What a cluster without nodes needs, or all. */
export type Extent = "control-plane" | "everything";

const MODULES = join(import.meta.dirname, "modules");

const VERSION_PACKAGES = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];

/** Kubernetes' programs have no version unless their build gives them one. */
function kubernetesProgram(name: string): GoProgram {
  const version = pinnedVersion("kubernetes", "k8s.io/kubernetes");
  const [major = "", minor = ""] = version.slice(1).split(".");
  const values = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: "clean" };
  const variables = VERSION_PACKAGES.flatMap((path) =>
    Object.entries(values).map(([variable, value]) => [`${path}.${variable}`, value] as const),
  );
  return {
    name,
    module: "kubernetes",
    package: `k8s.io/kubernetes/cmd/${name}`,
    variables: Object.fromEntries(variables),
  };
}

function containerdProgram(name: string): GoProgram {
  const path = "github.com/containerd/containerd/v2";
  return {
    name,
    module: "containerd",
    package: `${path}/cmd/${name}`,
    // Snapshotters that nobody here uses, and whose libraries would have to be there.
    tags: "no_btrfs no_devmapper no_zfs",
    variables: { [`${path}/version.Version`]: pinnedVersion("containerd", path).slice(1) },
  };
}

/** Every program that is needed. */
export function goPrograms(extent: Extent): GoProgram[] {
  const controlPlane = [
    ...["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"].map(
      kubernetesProgram,
    ),
    { name: "etcd", module: "etcd", package: "go.etcd.io/etcd/server/v3" },
  ];
  if (extent === "control-plane") return controlPlane;
  return [
    ...controlPlane,
    ...["kubelet", "kube-proxy"].map(kubernetesProgram),
    ...["containerd", "containerd-shim-runc-v2", "ctr"].map(containerdProgram),
    { name: "coredns", module: "coredns", package: "ambient-mesh.test/coredns" },
  ];
}

export function moduleFolder(module: string): string {
  return join(MODULES, module);
}

/** The version of a module's requirement, "v1.2.3". */
export function pinnedVersion(module: string, path: string): string {
  const text = readFileSync(join(MODULES, module, "go.mod"), "utf8");
  const line = text.split("\n").find((each) => new RegExp(`^(require )?\\s*${path} v`).test(each));
  const version = line?.match(/ (v\S+)/)?.[1];
  if (version === undefined) throw new Error(`modules/${module}/go.mod does not require ${path}`);
  return version;
}
