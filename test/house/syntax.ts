/**
 * Reads TypeScript for the house rules, with the compiler's own parser: imports, functions and
 * the calls that matter. The compiler's interface is still named unstable: it is used here only.
 */
import { relative, sep } from "node:path";
import {
  isArrowFunction,
  isCallExpression,
  isFunctionLikeDeclaration,
  isIdentifier,
  isMethodDeclaration,
  isNoSubstitutionTemplateLiteral,
  isPropertyAccessExpression,
  isPropertyAssignment,
  isStringLiteral,
  isVariableDeclaration,
  type Node,
  type SourceFile,
} from "typescript/unstable/ast";
import { API } from "typescript/unstable/sync";

/** One parsed file. */
export interface ParsedFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly source: SourceFile;
}

export interface FunctionSpan {
  /** Names from the outside in, as in `Pool.connect` or `createPool > test callback`. */
  readonly name: string;
  readonly firstLine: number;
  readonly lines: number;
}

/**
 * Calls `use` with every file of the project under `root` and returns what it returns. The
 * trees live only as long as the call: the compiler runs in a process of its own.
 */
export function withParsedFiles<T>(root: string, use: (files: readonly ParsedFile[]) => T): T {
  const api = new API({ cwd: root });
  try {
    const snapshot = api.updateSnapshot({ openProjects: [`${root}/tsconfig.json`] });
    const project = snapshot.getProjects()[0];
    if (project === undefined) throw new Error(`the compiler found no project in ${root}`);
    const files = project.rootFiles.flatMap((name) => {
      const source = project.program.getSourceFile(name);
      const path = relative(root, name).split(sep).join("/");
      return source === undefined ? [] : [{ path, source }];
    });
    return use(files);
  } finally {
    api.close();
  }
}

/** Calls `visit` with the node and all under it, parents first. */
export function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  node.forEachChild((child) => {
    walk(child, visit);
  });
}

/** Lines count from 1, as editors do. */
export function lineOf(source: SourceFile, position: number): number {
  return source.getLineAndCharacterOfPosition(position).line + 1;
}

/** Every function with a body. What `describe` is given is a list of tests, and left out. */
export function functionSpans(source: SourceFile): FunctionSpan[] {
  const spans: FunctionSpan[] = [];
  walk(source, (node) => {
    if (!isFunctionLikeDeclaration(node) || node.body === undefined) return;
    if (isSuiteCallback(node)) return;
    const firstLine = lineOf(source, node.getStart(source));
    const lines = lineOf(source, node.end) - firstLine + 1;
    spans.push({ name: qualifiedName(node), firstLine, lines });
  });
  return spans;
}

function isSuiteCallback(node: Node): boolean {
  const call = node.parent;
  if (!isCallExpression(call) || !isIdentifier(call.expression)) return false;
  return ["describe", "suite"].includes(call.expression.text);
}

function qualifiedName(node: Node): string {
  const names: string[] = [];
  for (let at: Node | undefined = node; at !== undefined; at = at.parent) {
    const name = ownName(at);
    if (name !== undefined) names.unshift(name);
  }
  return names.join(" > ");
}

function ownName(node: Node): string | undefined {
  if ("name" in node && node.name !== undefined && !isArrowFunction(node)) {
    const name = node.name as Node;
    const named =
      isFunctionLikeDeclaration(node) || isVariableDeclaration(node) || isPropertyAssignment(node);
    if (named || isMethodDeclaration(node) || "members" in node) return name.getText();
    return undefined;
  }
  if (!isFunctionLikeDeclaration(node)) return undefined;
  const call = node.parent;
  if (!isCallExpression(call)) return undefined;
  const title = call.arguments.map(literalText).find((text) => text !== undefined);
  return title === undefined ? `callback of ${calleeName(call.expression)}` : `"${title}"`;
}

/** The text of a string without placeholders, in whatever quotes. */
export function literalText(node: Node | undefined): string | undefined {
  if (node === undefined) return undefined;
  if (isStringLiteral(node) || isNoSubstitutionTemplateLiteral(node)) return node.text;
  return undefined;
}

/** `test` of `test(...)`, `t.skip` of `t.skip(...)`. */
export function calleeName(callee: Node): string {
  if (isIdentifier(callee)) return callee.text;
  if (isPropertyAccessExpression(callee)) {
    return `${calleeName(callee.expression)}.${callee.name.text}`;
  }
  return "…";
}
