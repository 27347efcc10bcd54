/** What keeps the pure cores pure: nothing in them, or below them, reaches outside the program. */
import {
  isIdentifier,
  isNewExpression,
  isPropertyAccessExpression,
  type Node,
} from "typescript/unstable/ast";
import { type ImportReference, type Module, targetOf } from "./imports.ts";
import { calleeName, lineOf, type ParsedFile, walk } from "./syntax.ts";
import { isTest } from "./tree.ts";

const PURE_FOLDERS = [
  "common/model/",
  "common/authorization/",
  "common/mesh-state/",
  "waypoint/route/",
  "istiod-lite/registry/",
  "istiod-lite/analyze/",
];

const REASON =
  "pure cores do no I/O and read no clock or dice (they come in as arguments), so that tables " +
  "and fuzzers test them, and what explains a decision can run the code that enforces it";

/** Node's modules that compute and touch nothing. All others are I/O, time or chance. */
const PURE_MODULES = new Set([
  "node:assert",
  "node:assert/strict",
  "node:buffer",
  "node:path",
  "node:path/posix",
  "node:querystring",
  "node:string_decoder",
  "node:url",
  "node:util",
]);

/** Of modules that do more than compute: what depends on its arguments alone. */
const PURE_NAMES: Readonly<Record<string, ReadonlySet<string>>> = {
  "node:crypto": new Set(["createHash", "createHmac", "hash", "timingSafeEqual"]),
  "node:net": new Set(["BlockList", "SocketAddress", "isIP", "isIPv4", "isIPv6"]),
};

/** Globals that reach outside, as they are written. */
const IMPURE_GLOBALS = new Set([
  "Date.now",
  "Math.random",
  "clearInterval",
  "clearTimeout",
  "console.error",
  "console.log",
  "crypto.getRandomValues",
  "crypto.randomUUID",
  "fetch",
  "performance.now",
  "process.env",
  "process.hrtime",
  "process.stdout",
  "setImmediate",
  "setInterval",
  "setTimeout",
]);

export function isPure(path: string): boolean {
  return PURE_FOLDERS.some((folder) => path.startsWith(folder)) && !isTest(path);
}

/**
 * One line per file that does I/O and is reached by a pure core, with the shortest way to it: one
 * careless import low down would otherwise be told once per file above it.
 */
export function impureImports(modules: readonly Module[]): string[] {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const shortest = new Map<string, string[]>();
  for (const { path } of modules) {
    const way = isPure(path) ? wayToIo(byPath, path) : undefined;
    if (way === undefined) continue;
    const culprit = way.slice(-2).join(" ");
    if (way.length < (shortest.get(culprit)?.length ?? Infinity)) shortest.set(culprit, way);
  }
  return [...shortest.values()].map((way) => `${way.join(" imports ")}: ${REASON}`);
}

function wayToIo(modules: ReadonlyMap<string, Module>, start: string): string[] | undefined {
  const ways = [[start]];
  const seen = new Set([start]);
  for (const way of ways) {
    const path = way.at(-1) ?? start;
    for (const reference of modules.get(path)?.imports ?? []) {
      if (reference.typeOnly) continue;
      if (doesIo(reference)) return [...way, reference.specifier];
      const target = targetOf(path, reference.specifier);
      if (target === undefined || seen.has(target)) continue;
      seen.add(target);
      ways.push([...way, target]);
    }
  }
  return undefined;
}

function doesIo({ specifier, names }: ImportReference): boolean {
  const pureNames = PURE_NAMES[specifier];
  if (pureNames !== undefined) return !names.every((name) => pureNames.has(name));
  return specifier.startsWith("node:") && !PURE_MODULES.has(specifier);
}

function isImpureGlobal(node: Node): boolean {
  if (!isIdentifier(node) && !isPropertyAccessExpression(node)) return false;
  // The name of a property is no global: `deps.setTimeout` is what we ask for.
  if (isPropertyAccessExpression(node.parent) && node.parent.expression !== node) return false;
  if (isIdentifier(node) && "name" in node.parent && node.parent.name === node) return false;
  return IMPURE_GLOBALS.has(calleeName(node));
}

/** One line per use of a clock, a timer, chance or the outside world by its global name. */
export function impureGlobals({ path, source }: ParsedFile): string[] {
  if (!isPure(path)) return [];
  const found: string[] = [];
  walk(source, (node) => {
    const now = isNewExpression(node) && calleeName(node.expression) === "Date";
    const clock = now && (node.arguments?.length ?? 0) === 0;
    if (!clock && !isImpureGlobal(node)) return;
    const line = lineOf(source, node.getStart(source));
    found.push(`${path}:${line} uses ${clock ? "new Date()" : calleeName(node)}: ${REASON}`);
  });
  return found;
}
