/** What is wrong with configuration, and where: the vocabulary of parser, validators and loader. */

export type Severity = "error" | "warning";

/** A problem at a place in a file. An error keeps the object out; a warning does not. */
export interface Problem {
  readonly severity: Severity;
  /**
   * The path of the file (or folder) as a person would type it from where the loader was started.
   */
  readonly file: string;
  /** From 1; 1 when the problem concerns the file as a whole. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /**
   * E.g. `spec.rules[0].from[1].source.ipBlocks[0]`; empty when it concerns the file as a whole.
   */
  readonly field: string;
  readonly message: string;
  /** What to write instead, or what to do next. */
  readonly hint?: string;
}

/** Steps from the root of an object to a field: names, and indexes into lists. */
export type FieldPath = readonly (string | number)[];

/** A problem of an object that does not know which file it came from. */
export interface Issue {
  readonly severity: Severity;
  readonly path: FieldPath;
  readonly message: string;
  readonly hint?: string;
}

/** `spec.ports[0].name`, keys that are no plain words quoted: `metadata.labels["a.b/c"]`. */
export function formatField(path: FieldPath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** `field: what is wrong (what to write instead)`. */
export function formatIssue({ path, message, hint }: Omit<Issue, "severity">): string {
  const field = path.length === 0 ? "" : `${formatField(path)}: `;
  return `${field}${message}${hint === undefined ? "" : ` (${hint})`}`;
}
