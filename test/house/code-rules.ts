/** Rules that need a file's syntax. Each returns one line per violation. */
import {
  isCallExpression,
  isIdentifier,
  isObjectLiteralExpression,
  isPropertyAccessExpression,
  isPropertyAssignment,
  isShorthandPropertyAssignment,
  isVariableStatement,
  type Node,
  type SourceFile,
} from "typescript/unstable/ast";
import { calleeName, lineOf, type ParsedFile, walk } from "./syntax.ts";

const SKIPPING = new Set(["skip", "todo", "only"]);
const RUNNERS = new Set(["test", "it", "describe", "suite", "t", "context"]);

/** Tests that do not run, or keep others from running, however that is written. */
export function unrunTests({ path, source }: ParsedFile): string[] {
  if (!path.endsWith(".test.ts")) return [];
  const found: string[] = [];
  walk(source, (node) => {
    if (!isCallExpression(node) || !skips(node.expression, node.arguments)) return;
    const line = lineOf(source, node.getStart(source));
    found.push(`${path}:${line}: every test runs; what needs root goes by its place or name`);
  });
  return found;
}

function skips(callee: Node, args: readonly Node[]): boolean {
  if (isPropertyAccessExpression(callee) && SKIPPING.has(callee.name.text)) {
    return RUNNERS.has(calleeName(callee.expression));
  }
  if (!isIdentifier(callee) || !RUNNERS.has(callee.text)) return false;
  return args.filter(isObjectLiteralExpression).some(({ properties }) =>
    properties.some((property) => {
      if (!isPropertyAssignment(property) && !isShorthandPropertyAssignment(property)) return false;
      return SKIPPING.has(property.name.getText());
    }),
  );
}

/** Entries of a limits.ts that do not say what happens at the bound. */
export function uncommentedLimits({ path, source }: ParsedFile): string[] {
  if (!path.endsWith("/limits.ts")) return [];
  return source.statements
    .filter(isVariableStatement)
    .flatMap((statement) => {
      const [declaration] = statement.declarationList.declarations;
      const fields = fieldsOf(declaration?.initializer);
      return fields.length > 0 ? fields : [statement];
    })
    .filter((entry) => !isCommented(source, entry))
    .map((entry) => {
      const [text = ""] = entry.getText(source).split("\n");
      const line = lineOf(source, entry.getStart(source));
      return `${path}:${line} ${text}: say in a comment what happens at this bound`;
    });
}

/** The properties of an object, also behind `as const`, `satisfies T` and `Object.freeze()`. */
function fieldsOf(value: Node | undefined): readonly Node[] {
  if (value === undefined) return [];
  if (isObjectLiteralExpression(value)) return [...value.properties];
  if (isCallExpression(value)) return fieldsOf(value.arguments[0]);
  return "expression" in value ? fieldsOf(value.expression as Node) : [];
}

/** Entries without an empty line between them share the comment above the first. */
function isCommented(source: SourceFile, node: Node): boolean {
  const lines = source.text.slice(0, node.getStart(source)).split("\n").slice(0, -1);
  const blockStart = lines.findLastIndex((line) => line.trim() === "") + 1;
  const above = lines.slice(blockStart).join("\n");
  return /^\s*(\/\*|\/\/)/.test(above) || /\{\s*\n\s*(\/\*|\/\/)/.test(above);
}
