/**
 * Reads the text of a file (YAML of many documents, or JSON, which is YAML) into plain values that
 * know their places. Errors are collected, so that one look at a file shows everything that is
 * wrong with it.
 */
import { type Document, LineCounter, parseAllDocuments } from "yaml";
import {
  MAX_DOCUMENT_DEPTH,
  MAX_DOCUMENT_PROBLEMS,
  MAX_FILE_BYTES,
} from "#common/kubernetes/limits.ts";
import { formatField, type Issue, type Problem } from "#common/kubernetes/problem.ts";
import { type PlacedIssue, YamlValue } from "#common/kubernetes/yaml-value.ts";

/** Line and column count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface ParsedDocument {
  readonly value: unknown;
  /** The problem for an issue of this value: with its file, its place and its field in the file. */
  problem(issue: Issue): Problem;
  /** Where the value begins, from 1. */
  line(): number;
}

export interface ParsedFile {
  /**
   * One per document; the items of a `kind: List` count as documents. Those with errors are
   * missing.
   */
  readonly documents: readonly ParsedDocument[];
  readonly problems: readonly Problem[];
  /** One JSON object as `JSON.stringify` writes it: nothing that is cut off anywhere reads so. */
  readonly isCanonicalJson?: true;
}

/** Parses a whole file. `file` is only quoted in problems. */
export function parseYaml(text: string, file: string): ParsedFile {
  if (Buffer.byteLength(text) > MAX_FILE_BYTES) {
    const message = `the file is larger than ${MAX_FILE_BYTES} bytes`;
    const hint = "split it into several files";
    const place = { file, line: 1, column: 1, field: "" };
    return { documents: [], problems: [{ severity: "error", ...place, message, hint }] };
  }
  return parseCanonicalJson(text, file) ?? parseDocuments(text, file);
}

/**
 * The fast way for files that programs wrote: JSON exactly as `JSON.stringify` writes it holds no
 * duplicate key and nothing else that could be read in two ways. Places are looked up when needed.
 */
function parseCanonicalJson(text: string, file: string): ParsedFile | undefined {
  if (!text.startsWith("{") || text.includes('"__proto__"')) return undefined;
  const value = tryJson(text);
  if (value === undefined) return undefined;
  if (isList(value)) return undefined;
  let slow: ParsedFile | undefined;
  const problem = (issue: Issue): Problem => {
    slow ??= parseDocuments(text, file);
    const place = slow.documents[0]?.problem(issue);
    return place ?? problemAt(file, { line: 1, column: 1 }, issue);
  };
  const documents = [{ value, problem, line: () => 1 }];
  return { documents, problems: [], isCanonicalJson: true };
}

function tryJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    const body = text.trimEnd();
    const canonical = JSON.stringify(value) === body || JSON.stringify(value, null, 2) === body;
    return canonical && nestsWithin(value, MAX_DOCUMENT_DEPTH) ? value : undefined;
  } catch {
    // Not JSON, or nested beyond the stack: the YAML reader says what is wrong, and where.
    return undefined;
  }
}

function nestsWithin(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((child) => nestsWithin(child, depth - 1));
}

function parseDocuments(text: string, file: string): ParsedFile {
  const lines = new LineCounter();
  // Keys are compared by YamlValue: the package's own comparison takes quadratic time.
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    uniqueKeys: false,
    prettyErrors: false,
    merge: true,
    logLevel: "silent",
  });
  const problems: Problem[] = [];
  const documents: ParsedDocument[] = [];
  for (const document of parsed) {
    const found = readDocument(document, file, lines);
    problems.push(...found.problems.slice(0, MAX_DOCUMENT_PROBLEMS));
    if (found.document !== undefined) documents.push(...expandList(found.document));
  }
  return { documents, problems };
}

function readDocument(
  document: Document.Parsed,
  file: string,
  lines: LineCounter,
): { document?: ParsedDocument; problems: Problem[] } {
  const problems = [...document.errors, ...document.warnings].map((error): Problem => {
    const place = positionAt(lines, error.pos[0]);
    return { severity: "error", file, ...place, field: "", message: syntaxMessage(error.message) };
  });
  if (problems.length > 0) return { problems };
  const content = new YamlValue(document);
  const problem = (issue: PlacedIssue): Problem =>
    problemAt(file, positionAt(lines, issue.offset ?? content.offsetOf(issue.path)), issue);
  problems.push(...content.issues.map(problem));
  const broken = content.issues.some((issue) => issue.severity === "error");
  // A document of comments only, as templates leave behind, is nothing.
  if (broken || content.value === null) return { problems };
  const line = (): number => positionAt(lines, content.offsetOf([])).line;
  return { document: { value: content.value, problem, line }, problems };
}

/** `kind: List` is what kubectl prints for several objects. */
function expandList(document: ParsedDocument): ParsedDocument[] {
  const { value, problem } = document;
  if (!isList(value)) return [document];
  return value.items.map((item, index) => ({
    value: item,
    problem: (issue) => problem({ ...issue, path: ["items", index, ...issue.path] }),
    line: () => problem({ severity: "error", path: ["items", index], message: "" }).line,
  }));
}

function isList(value: unknown): value is { readonly items: readonly unknown[] } {
  if (typeof value !== "object" || value === null) return false;
  return "kind" in value && value.kind === "List" && "items" in value && Array.isArray(value.items);
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function problemAt(file: string, place: Position, issue: Issue): Problem {
  const { severity, path, message, hint } = issue;
  const field = formatField(path);
  return { severity, file, ...place, field, message, ...(hint === undefined ? {} : { hint }) };
}

/** The package reports exhaustion of the stack by nesting in the words of the engine. */
function syntaxMessage(message: string): string {
  return message.startsWith("Maximum call stack") ? "the document nests too deeply" : message;
}
