/**
 * Renders the few actions of Go's templates that the chart uses, as Helm does: values, `toYaml`
 * with `indent`, `if` and `with`, what the cluster has, and "-" that takes white space away.
 * Anything else throws.
 */
import { stringify } from "yaml";

type Json = Readonly<Record<string, unknown>>;

interface Token {
  readonly text: string;
  readonly action?: string;
}

/** `apis` is what `.Capabilities.APIVersions` has. */
export function renderTemplate(template: string, values: Json, apis: readonly string[]): string {
  const open: boolean[] = [];
  const dots: unknown[] = [];
  let out = "";
  for (const { text, action } of tokens(template)) {
    const isShown = open.every(Boolean);
    if (action === undefined) {
      if (isShown) out += text;
    } else if (/^(if|with) /.test(action)) {
      const what = action.replace(/^\w+ /, "");
      const [, api] = /^\.Capabilities\.APIVersions\.Has "([^"]+)"$/.exec(what) ?? [];
      const value = api === undefined ? lookUp(what, values, dots.at(-1)) : apis.includes(api);
      open.push(isTrue(value));
      dots.push(action.startsWith("with ") ? value : dots.at(-1));
    } else if (action === "end") {
      open.pop();
      dots.pop();
    } else if (isShown) out += print(action, values, dots.at(-1));
  }
  return out;
}

function tokens(template: string): Token[] {
  const trimmed = template.replace(/\s*\{\{- /g, "{{ ").replace(/ -\}\}\s*/g, " }}");
  return trimmed.split(/(\{\{ .*? \}\})/).map((text) => {
    const action = /^\{\{ (.*) \}\}$/.exec(text)?.[1];
    return { text, ...(action !== undefined && { action }) };
  });
}

function print(action: string, values: Json, dot: unknown): string {
  const [, path = "", columns] = /^toYaml (\S+) \| indent (\d+)$/.exec(action) ?? [];
  if (columns === undefined) return String(lookUp(action, values, dot));
  const space = " ".repeat(Number(columns));
  const text = stringify(lookUp(path, values, dot), { lineWidth: 0 }).trimEnd();
  return text.replace(/^/gm, space);
}

function lookUp(path: string, values: Json, dot: unknown): unknown {
  if (path === ".") return dot;
  if (!/^\.Values(\.[A-Za-z]+)+$/.test(path))
    throw new Error(`not an action that is known: ${path}`);
  const keys = path.split(".").slice(2);
  const value = keys.reduce<unknown>((at, key) => (at as Json | undefined)?.[key], values);
  if (value === undefined) throw new Error(`there is no value ${path}`);
  return value;
}

/** Go's templates take empty lists, maps and texts for false. */
function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}
