/**
 * From the text of one file to its typed objects: parse, validate, and give every issue its place.
 */
import type { LoadedObject } from "#common/kubernetes/load-result.ts";
import { parseYaml } from "#common/kubernetes/parse-yaml.ts";
import type { Problem } from "#common/kubernetes/problem.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";

/** An object of a kind that nothing reads; the loader says so once per kind. */
export interface UnknownKind {
  readonly name: string;
  readonly problem: Problem;
}

export interface FileContent {
  readonly file: string;
  /** The objects without errors. */
  readonly objects: readonly LoadedObject[];
  readonly problems: readonly Problem[];
  readonly unknownKinds: readonly UnknownKind[];
  readonly hasErrors: boolean;
  /** As in ParsedFile. */
  readonly isCanonicalJson?: true;
}

/** Reads a whole file. `file` is what problems and objects call it. */
export function loadText(text: string, file: string): FileContent {
  const parsed = parseYaml(text, file);
  const problems: Problem[] = [...parsed.problems];
  const objects: LoadedObject[] = [];
  const unknownKinds: UnknownKind[] = [];
  for (const document of parsed.documents) {
    const { object, issues, unknownKind } = validateObject(document.value);
    problems.push(...issues.map((issue) => document.problem(issue)));
    if (object !== undefined) objects.push({ object, file, line: document.line() });
    if (unknownKind === undefined) continue;
    const { name, hint } = unknownKind;
    const issue = { severity: "warning", path: ["kind"], message: `ignored: ${name}` } as const;
    const problem = document.problem(hint === undefined ? issue : { ...issue, hint });
    unknownKinds.push({ name, problem });
  }
  const hasErrors = problems.some((problem) => problem.severity === "error");
  const content = { file, objects, problems, unknownKinds, hasErrors };
  return parsed.isCanonicalJson === true ? { ...content, isCanonicalJson: true } : content;
}

/** The content of a file that could not be read. */
export function unreadableFile(file: string, message: string, hint?: string): FileContent {
  return {
    file,
    objects: [],
    problems: [fileProblem(file, message, hint)],
    unknownKinds: [],
    hasErrors: true,
  };
}

/** An error about a file or folder as a whole. */
export function fileProblem(file: string, message: string, hint?: string): Problem {
  const place = { severity: "error", file, line: 1, column: 1, field: "", message } as const;
  return hint === undefined ? place : { ...place, hint };
}
