/** Claims of tokens as texts that policies compare. */

interface Token {
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Their words are apart, as RFC 8693 4.2 has it. Source: Istio's jwt filter configuration. */
const SPACE_DELIMITED: ReadonlySet<string> = new Set(["scope", "permission"]);

const NOTHING: readonly string[] = [];

/**
 * The strings of a claim, or of the list that it is; none where it is missing or of another kind.
 * With `lax`, numbers and booleans as texts, too.
 */
export function claimTexts(
  token: Token | undefined,
  path: readonly string[],
  lax = false,
): readonly string[] {
  const value = token && claimAt(token.claims, path);
  if (typeof value === "string") {
    const [name = ""] = path;
    const words = path.length === 1 && SPACE_DELIMITED.has(name);
    return words ? [value, ...value.split(" ")] : [value];
  }
  if (Array.isArray(value)) return value.flatMap((element) => textOf(element, lax) ?? NOTHING);
  return textOf(value, lax) ?? NOTHING;
}

/** By its path; undefined where there is none. Only own properties count. */
export function claimAt(
  claims: Readonly<Record<string, unknown>>,
  path: readonly string[],
): unknown {
  let value: unknown = claims;
  for (const name of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    if (!Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function textOf(value: unknown, lax: boolean): readonly string[] | undefined {
  if (typeof value === "string") return [value];
  const plain = typeof value === "number" || typeof value === "boolean";
  return lax && plain ? [String(value)] : undefined;
}
