/** Rules that need only a file's name and text. Each returns one line per violation. */
import { isCode, isGenerated, isTest } from "./tree.ts";

export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** Written in parts, so that the rule does not find itself. */
const UNFINISHED = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX"].join("|")})\\b`);
const MACHINE_PATH = new RegExp(`(^|[\\s"'\`(=:])/(${"wo" + "rk"}|home/(?!user\\b)[a-z])[/\\w]`);
const REGISTRY_HOST = /https?:\/\/[^/\s"']*(registry|artifactory|verdaccio|nexus)/;

/** Folders and files of code and docs: lower case, words joined by hyphens, then endings. */
const KEBAB_CASE = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/;

/** Documents that stay useful only while they are short. */
const DOCUMENT_MAX_LINES: Readonly<Record<string, number>> = {
  "ARCHITECTURE.md": 250,
  "CONTRIBUTING.md": 120,
};

type TextRule = (file: TextFile) => string[];

export const TEXT_RULES: Readonly<Record<string, TextRule>> = {
  "every source file says on top what it is for": missingHeader,
  "nothing is left for later": (file) =>
    eachLine(file, (line) =>
      UNFINISHED.test(line) ? "do it now, or write an issue and say nothing here" : undefined,
    ),
  "no file names a path of one machine or a package registry": (file) =>
    eachLine(file, (line) => {
      if (MACHINE_PATH.test(line)) return "this path exists on one machine only";
      return REGISTRY_HOST.test(line) ? "which registry to use is the reader's setting" : undefined;
    }),
  "file names are kebab-case": badName,
  "what silences a tool gives its reason": (file) => eachLine(file, unexplainedSilence),
  "documents stay short": overlongDocument,
};

/** Applies one rule to every file that rules are meant for. */
export function applyTextRule(rule: TextRule, files: readonly TextFile[]): string[] {
  return files.filter(({ path }) => isHeld(path)).flatMap(rule);
}

function isHeld(path: string): boolean {
  return !isGenerated(path) && !path.endsWith("package-lock.json");
}

function eachLine({ path, text }: TextFile, judge: (line: string) => string | undefined): string[] {
  return text.split("\n").flatMap((line, index) => {
    const verdict = judge(line);
    return verdict === undefined ? [] : [`${path}:${index + 1} ${line.trim()}: ${verdict}`];
  });
}

function missingHeader({ path, text }: TextFile): string[] {
  if (!isCode(path) || path.endsWith(".test.ts")) return [];
  const first = text.replace(/^#!.*\n/, "").trimStart();
  if (/^(\/\*|\/\/|#)/.test(first)) return [];
  return [`${path} starts without a comment that says what the file is for`];
}

function badName({ path }: TextFile): string[] {
  const document = path.startsWith("docs/") && !path.endsWith("/README.md");
  if (!document && !isCode(path) && !path.endsWith(".proto")) return [];
  const parts = path.split("/").map((part) => part.replace(/^\./, ""));
  return parts.every((part) => KEBAB_CASE.test(part)) ? [] : [`${path} is not kebab-case`];
}

function unexplainedSilence(line: string): string | undefined {
  if (/@ts-(ignore|nocheck)\b/.test(line) && !line.includes("(ignore|")) {
    return "@ts-expect-error with a reason says when it is no longer needed";
  }
  const silence = /(biome-ignore[a-z-]* [^:]+:|@ts-expect-error:?)(.*)$/.exec(line);
  const reason = silence?.[2]?.replace(/\*\/.*$/, "").trim() ?? "";
  if (silence === null || reason.length >= 12 || line.includes("[^:]+")) return undefined;
  return "say why, after a colon";
}

function overlongDocument({ path, text }: TextFile): string[] {
  const limit = DOCUMENT_MAX_LINES[path];
  const lines = text.trimEnd().split("\n").length;
  if (limit === undefined || lines <= limit) return [];
  return [`${path} has ${lines} lines, ${limit} are allowed: say less, or say it elsewhere`];
}

/** What package.json and the lock file must be for two installations to be the same. */
export function packageRules(manifestText: string, lockText: string): string[] {
  const manifest = JSON.parse(manifestText) as Record<string, Record<string, string> | undefined>;
  const kinds = ["dependencies", "devDependencies", "optionalDependencies"];
  const loose = kinds.flatMap((kind) =>
    Object.entries(manifest[kind] ?? {})
      .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
      .map(([name, version]) => `package.json: ${name} ${version} is not one exact version`),
  );
  const addressed = /"resolved":\s*"http/.test(lockText)
    ? ["package-lock.json holds download addresses: .npmrc keeps them out, so install again"]
    : [];
  return [...loose, ...addressed, ...incompleteLock(lockText)];
}

/** npm leaves out what it could not find while locking, and npm ci then refuses the file. */
function incompleteLock(lockText: string): string[] {
  type Entry = { optionalDependencies?: Record<string, string> };
  const lock = JSON.parse(lockText) as { packages: Record<string, Entry> };
  return Object.entries(lock.packages).flatMap(([at, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !(`node_modules/${name}` in lock.packages))
      .filter((name) => !(`${at}/node_modules/${name}` in lock.packages))
      .map((name) => `package-lock.json lacks ${name}, which ${at} names: npm ci fails on it`),
  );
}

/** Tests count as held only if the runner finds them. */
export function strayTests(paths: readonly string[]): string[] {
  return paths
    .filter((path) => /\.(spec|tests?)\.[a-z]+$/.test(path) && !path.endsWith(".test.ts"))
    .concat(paths.filter((path) => /_test\.ts$/.test(path)))
    .filter((path) => isTest(path) || !isGenerated(path))
    .map((path) => `${path}: the runner looks for *.test.ts`);
}
