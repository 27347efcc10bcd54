/** What each file imports, in every way a file can, and where an import leads. */
import { posix } from "node:path";
import {
  isCallExpression,
  isExportDeclaration,
  isIdentifier,
  isImportDeclaration,
  isImportTypeNode,
  isLiteralTypeNode,
  isNamedImports,
  type Node,
  SyntaxKind,
} from "typescript/unstable/ast";
import { lineOf, literalText, type ParsedFile, walk } from "./syntax.ts";

export interface ImportReference {
  readonly specifier: string;
  /** Erased before the program runs. */
  readonly typeOnly: boolean;
  /** Imported names; `*` where all of them are. */
  readonly names: readonly string[];
  readonly line: number;
}

/** A file and its imports; plain data, so that tests of the rules can make some up. */
export interface Module {
  readonly path: string;
  readonly imports: readonly ImportReference[];
}

export function readModule({ path, source }: ParsedFile): Module {
  const imports: ImportReference[] = [];
  walk(source, (node) => {
    const found = referenceOf(node);
    if (found !== undefined) {
      imports.push({ ...found, line: lineOf(source, node.getStart(source)) });
    }
  });
  return { path, imports };
}

type Reference = Omit<ImportReference, "line">;

function referenceOf(node: Node): Reference | undefined {
  if (isImportDeclaration(node)) return staticImport(node);
  if (isExportDeclaration(node)) {
    const specifier = literalText(node.moduleSpecifier);
    if (specifier === undefined) return undefined;
    return { specifier, typeOnly: node.isTypeOnly, names: ["*"] };
  }
  if (isImportTypeNode(node)) {
    const argument = isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
    const specifier = literalText(argument);
    return specifier === undefined ? undefined : { specifier, typeOnly: true, names: ["*"] };
  }
  if (!isCallExpression(node) || !isLoader(node.expression)) return undefined;
  const specifier = literalText(node.arguments[0]);
  return specifier === undefined ? undefined : { specifier, typeOnly: false, names: ["*"] };
}

function staticImport(node: Node & { moduleSpecifier: Node }): Reference | undefined {
  const specifier = literalText(node.moduleSpecifier);
  if (specifier === undefined || !isImportDeclaration(node)) return undefined;
  const clause = node.importClause;
  if (clause === undefined) return { specifier, typeOnly: false, names: [] };
  const bindings = clause.namedBindings;
  const elements = bindings !== undefined && isNamedImports(bindings) ? bindings.elements : [];
  const whole = clause.name !== undefined || (bindings !== undefined && !isNamedImports(bindings));
  const marked = clause.phaseModifier === SyntaxKind.TypeKeyword;
  const values = elements.filter((element) => !element.isTypeOnly);
  return {
    specifier,
    typeOnly: marked || (!whole && elements.length > 0 && values.length === 0),
    names: whole ? ["*"] : elements.map(({ propertyName, name }) => (propertyName ?? name).text),
  };
}

function isLoader(callee: Node): boolean {
  if (callee.kind === SyntaxKind.ImportKeyword) return true;
  return isIdentifier(callee) && callee.text === "require";
}

/** The repository path an import leads to, or undefined where it leads to a package. */
export function targetOf(from: string, specifier: string): string | undefined {
  if (specifier.startsWith("#")) return specifier.slice(1);
  if (!specifier.startsWith(".")) return undefined;
  return posix.join(posix.dirname(from), specifier);
}
