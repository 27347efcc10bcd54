/**
 * The one error class of the project: what happened, why (`cause`), and what to do next (`hint`).
 */

export class MeshError extends Error {
  /** Stable, upper snake case: what tests and callers match on. */
  readonly code: string;
  /** The next thing to type or check, for people. */
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MeshError";
    this.code = code;
    this.hint = options.hint;
  }
}

/** The message chain of an error, outermost first: "a: b: c". */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.message === "" ? error.name : error.message;
  return error.cause === undefined ? own : `${own}: ${describeError(error.cause)}`;
}

/** What a program says of its failure: "meshctl: a: b", and the hint on a line of its own. */
export function failureText(program: string, error: unknown, hintWord = "hint"): string {
  const hint = error instanceof MeshError && error.hint ? `${hintWord}: ${error.hint}\n` : "";
  return `${program}: ${describeError(error)}\n${hint}`;
}
