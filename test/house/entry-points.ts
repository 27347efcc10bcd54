/** What a program's entry may hold, and what every other file may do while it is imported. */
import { type Node, type SourceFile, SyntaxKind } from "typescript/unstable/ast";
import { lineOf, type ParsedFile } from "./syntax.ts";
import { isTest } from "./tree.ts";

const MAIN_MAX_LINES = 80;

/** Files that a process or a worker thread starts with. */
const ENTRY = /(^|\/)([a-z-]+-)?(main|worker)\.ts$/;

const DECLARATIONS = new Set<SyntaxKind>([
  SyntaxKind.ImportDeclaration,
  SyntaxKind.ExportDeclaration,
  SyntaxKind.ExportAssignment,
  SyntaxKind.TypeAliasDeclaration,
  SyntaxKind.InterfaceDeclaration,
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.ClassDeclaration,
  SyntaxKind.ModuleDeclaration,
  SyntaxKind.VariableStatement,
]);

/** A main.ts that grew a program of its own. */
export function overlongMain({ path, source }: ParsedFile): string[] {
  if (!path.endsWith("/main.ts") || isTest(path)) return [];
  const lines = lineOf(source, source.end) - 1;
  if (lines <= MAIN_MAX_LINES) return [];
  return [
    `${path} has ${lines} lines, ${MAIN_MAX_LINES} are allowed: an entry reads its arguments, ` +
      "makes the app and handles signals; what it grew belongs where a test can import it",
  ];
}

/** Statements that run as soon as the file is imported. */
export function importSideEffects({ path, source }: ParsedFile): string[] {
  if (isTest(path) || path.startsWith("tools/") || ENTRY.test(path)) return [];
  return statementsOf(source)
    .filter((statement) => !DECLARATIONS.has(statement.kind))
    .map((statement) => {
      const line = lineOf(source, statement.getStart(source));
      return `${path}:${line} runs when imported: only entries (main.ts, worker.ts) start things`;
    });
}

function statementsOf(source: SourceFile): readonly Node[] {
  return [...source.statements];
}
