/** Who may import whom: the rules, each with its reason. Pure functions over modules. */
import { type ImportReference, type Module, targetOf } from "./imports.ts";
import { GENERATED_FOLDER, isTest } from "./tree.ts";

const PROGRAMS = ["ztunnel", "waypoint", "istiod-lite", "meshctl"];

const DEVELOPMENT_PACKAGES = /^(fast-check|typescript|@biomejs|node:test)(\/|$)/;

/** An import of a file of ours, or of a package (by the name it is imported under). */
interface Target {
  readonly path?: string;
  readonly packageName?: string;
}

interface ImportRule {
  readonly reason: string;
  /** Whether tests beside the code and everything under test/ may do it. */
  readonly testsMay: boolean;
  readonly forbids: (from: string, to: Target) => boolean;
}

const IMPORT_RULES: readonly ImportRule[] = [
  {
    reason: "programs never import each other: each is replaceable by Istio's own counterpart",
    testsMay: false,
    forbids: (from, { path = "" }) => {
      const [importer, imported] = [programOf(from), programOf(path)];
      if (importer === undefined || imported === undefined || importer === imported) return false;
      return !(from.startsWith("meshctl/local/") && path.startsWith("ztunnel/sys/"));
    },
  },
  {
    reason: "common/ is what programs are built from: it cannot know any of them",
    testsMay: false,
    forbids: (from, { path = "" }) => from.startsWith("common/") && programOf(path) !== undefined,
  },
  {
    reason: "programs ship without tests, what only tests use, tools/ and development packages",
    testsMay: true,
    forbids: (from, { path = "", packageName = "" }) => {
      if (from.startsWith("tools/")) return false;
      return isTest(path) || path.startsWith("tools/") || DEVELOPMENT_PACKAGES.test(packageName);
    },
  },
  {
    reason:
      "generated protobuf is imported only by common/xds/decode-*, encode-* and *-rpc: " +
      "the wire never leaks inward",
    testsMay: true,
    forbids: (from, { path = "" }) =>
      path.startsWith(GENERATED_FOLDER) &&
      !/^common\/xds\/((decode|encode)-[a-z-]+|[a-z-]+-rpc)\.ts$/.test(from),
  },
  {
    reason: "only ztunnel/sys touches koffi: one place to audit what calls the kernel",
    testsMay: false,
    forbids: (from, { packageName = "" }) =>
      /^(@koromix\/)?koffi/.test(packageName) && !from.startsWith("ztunnel/sys/"),
  },
  {
    reason:
      "ztunnel/proxy never imports ztunnel/capture: capture hands over sockets, and the proxy " +
      "knows no namespaces",
    testsMay: true,
    forbids: (from, { path = "" }) =>
      from.startsWith("ztunnel/proxy/") && path.startsWith("ztunnel/capture/"),
  },
  {
    reason: "main.ts is imported by nobody: importing must start nothing",
    testsMay: false,
    forbids: (_from, { path = "" }) => path.endsWith("/main.ts"),
  },
];

/** One line per import that breaks a rule. */
export function forbiddenImports(modules: readonly Module[]): string[] {
  return modules.flatMap(({ path, imports }) =>
    imports.flatMap((reference) => {
      const to = resolve(path, reference);
      return IMPORT_RULES.filter((rule) => !(rule.testsMay && isTest(path)))
        .filter((rule) => rule.forbids(path, to))
        .map(({ reason }) => `${path}:${reference.line} imports ${reference.specifier}: ${reason}`);
    }),
  );
}

function resolve(from: string, { specifier }: ImportReference): Target {
  const path = targetOf(from, specifier);
  return path === undefined ? { packageName: specifier } : { path };
}

function programOf(path: string): string | undefined {
  const first = path.split("/", 1)[0];
  return PROGRAMS.find((program) => program === first);
}

/**
 * Folders of one program that import each other, directly or in a ring; imports of types count,
 * since they too make two folders one. A file directly in a program's folder counts by itself.
 */
export function folderCycles(modules: readonly Module[]): string[] {
  const edges = folderEdges(modules);
  const cycles = new Map<string, string>();
  for (const start of edges.keys()) {
    const ring = findRing(edges, start);
    if (ring === undefined) continue;
    const key = ring
      .map(({ from }) => from)
      .sort()
      .join(" ");
    if (cycles.has(key)) continue;
    const steps = ring.map(({ from, to, example }) => `${from} -> ${to} (${example})`);
    cycles.set(
      key,
      `${steps.join(", ")}: folders that import each other cannot be read or replaced singly`,
    );
  }
  return [...cycles.values()];
}

interface FolderEdge {
  readonly from: string;
  readonly to: string;
  /** The file and line of one import that makes the edge. */
  readonly example: string;
}

function folderEdges(modules: readonly Module[]): Map<string, Map<string, FolderEdge>> {
  const edges = new Map<string, Map<string, FolderEdge>>();
  for (const { path, imports } of modules) {
    if (isTest(path)) continue;
    const from = folderOf(path);
    for (const { specifier, line } of imports) {
      const target = targetOf(path, specifier);
      if (target === undefined || folderOf(target) === from) continue;
      const to = folderOf(target);
      const outgoing = edges.get(from) ?? new Map<string, FolderEdge>();
      if (!outgoing.has(to)) outgoing.set(to, { from, to, example: `${path}:${line}` });
      edges.set(from, outgoing);
    }
  }
  return edges;
}

function folderOf(path: string): string {
  return path.split("/").slice(0, 2).join("/");
}

/** The shortest way from `start` back to itself. */
function findRing(
  edges: ReadonlyMap<string, ReadonlyMap<string, FolderEdge>>,
  start: string,
): FolderEdge[] | undefined {
  const ways: FolderEdge[][] = [...(edges.get(start)?.values() ?? [])].map((edge) => [edge]);
  const seen = new Set<string>();
  for (const way of ways) {
    const at = way.at(-1)?.to;
    if (at === undefined || seen.has(at)) continue;
    if (at === start) return way;
    seen.add(at);
    for (const edge of edges.get(at)?.values() ?? []) ways.push([...way, edge]);
  }
  return undefined;
}
