/**
 * Turns the syntax tree of one YAML document into plain JSON values, with every bound that keeps a
 * hostile document small (depth, nodes, aliases), and finds the place of a field again afterwards.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Pair,
  type ParsedNode,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import {
  MAX_DOCUMENT_ALIASES,
  MAX_DOCUMENT_DEPTH,
  MAX_DOCUMENT_NODES,
} from "#common/kubernetes/limits.ts";
import type { FieldPath, Issue } from "#common/kubernetes/problem.ts";

/** A value with its size when aliases are written out. */
interface Converted {
  readonly value: unknown;
  readonly nodes: number;
  readonly height: number;
}

const NULL: Converted = { value: null, nodes: 1, height: 1 };

/** What YAML 1.1, which Kubernetes reads, takes for a boolean, and YAML 1.2 for text. */
const BOOLEAN_OF_YAML_1_1 = /^(?:y|n|yes|no|on|off)$/i;

/** Ends a conversion whose document is refused as a whole. */
class Refused extends Error {}

/** An issue whose place is not where its path leads: of two equal keys, that is the first. */
export interface PlacedIssue extends Issue {
  readonly offset?: number;
}

/** One conversion of one document. */
export class YamlValue {
  readonly issues: PlacedIssue[] = [];
  /** Undefined when the document was refused; `issues` then says why. */
  readonly value: unknown;
  readonly #root: ParsedNode | null;
  readonly #anchors = new Map<
    string,
    { readonly node: ParsedNode; readonly converted: Converted }
  >();
  readonly #targets = new Map<Alias, ParsedNode>();
  #nodes = 0;
  #aliases = 0;

  constructor(document: Document.Parsed) {
    this.#root = document.contents;
    try {
      this.value = this.#convert(this.#root, []).value;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }

  /** The offset in the text where a field begins, or the nearest place around it that exists. */
  offsetOf(path: FieldPath): number {
    let node = this.#root;
    let offset = node?.range[0] ?? 0;
    for (const step of path) {
      const child = this.#child(node, step);
      if (child === undefined) break;
      offset = child.offset;
      node = child.node;
    }
    return offset;
  }

  #convert(node: ParsedNode | null, path: FieldPath): Converted {
    if (++this.#nodes > MAX_DOCUMENT_NODES) this.#refuseSize(path);
    if (path.length > MAX_DOCUMENT_DEPTH) this.#refuseDepth(path);
    if (node === null) return NULL;
    if (isAlias(node)) return this.#convertAlias(node, path);
    const anchor = node.anchor;
    if (anchor !== undefined) this.#anchors.delete(anchor);
    const converted = this.#convertContent(node, path);
    if (anchor !== undefined) this.#anchors.set(anchor, { node, converted });
    return converted;
  }

  #convertContent(node: Exclude<ParsedNode, Alias.Parsed>, path: FieldPath): Converted {
    if (isMap(node)) return this.#convertMap(node as YAMLMap.Parsed, path);
    if (isSeq(node)) return this.#convertSeq(node as YAMLSeq.Parsed, path);
    return this.#convertScalar(node, path);
  }

  #convertScalar(node: Scalar.Parsed, path: FieldPath): Converted {
    const { value } = node;
    if (node.type === "PLAIN" && typeof value === "string" && BOOLEAN_OF_YAML_1_1.test(value)) {
      this.issues.push({
        severity: "warning",
        path,
        message: `unquoted ${value} is text here but a boolean to Kubernetes`,
        hint: `write "${value}", or true or false`,
      });
    }
    return typeof value === "object" && value !== null ? NULL : { value, nodes: 1, height: 1 };
  }

  #convertAlias(alias: Alias, path: FieldPath): Converted {
    const target = this.#anchors.get(alias.source);
    if (target === undefined) {
      this.#refuse(path, `the alias *${alias.source} names no anchor that ends before it`);
    }
    if (++this.#aliases > MAX_DOCUMENT_ALIASES) {
      this.#refuse(path, `more than ${MAX_DOCUMENT_ALIASES} aliases in one document`);
    }
    this.#nodes += target.converted.nodes;
    if (this.#nodes > MAX_DOCUMENT_NODES) this.#refuseSize(path);
    if (path.length + target.converted.height > MAX_DOCUMENT_DEPTH) this.#refuseDepth(path);
    this.#targets.set(alias, target.node);
    return target.converted;
  }

  #convertSeq(node: YAMLSeq.Parsed, path: FieldPath): Converted {
    const items = node.items.map((item, index) => this.#convert(item, [...path, index]));
    return sized(
      items.map((item) => item.value),
      items,
    );
  }

  #convertMap(node: YAMLMap.Parsed, path: FieldPath): Converted {
    const own = new Map<string, Converted>();
    const merged: Converted[] = [];
    for (const pair of node.items) {
      if (isMergeKey(pair)) {
        merged.push(this.#convert(pair.value, path));
        continue;
      }
      const key = this.#key(pair, path);
      if (key === undefined) continue;
      if (own.has(key)) this.#duplicate([...path, key], pair.key.range[0]);
      own.set(key, this.#convert(pair.value, [...path, key]));
    }
    const entries = [...own].map(([key, converted]) => [key, converted.value] as const);
    const inherited = merged.flatMap((from) => this.#mergeEntries(from.value, path));
    return sized(Object.fromEntries([...inherited.reverse(), ...entries]), [
      ...own.values(),
      ...merged,
    ]);
  }

  /** The entries of `<<: *map` or `<<: [*a, *b]`, of which the first map wins. */
  #mergeEntries(value: unknown, path: FieldPath): [string, unknown][] {
    const maps: unknown[] = Array.isArray(value) ? value : [value];
    return maps.flatMap((map) => {
      if (typeof map === "object" && map !== null && !Array.isArray(map))
        return Object.entries(map);
      this.#error([...path, "<<"], "merges something that is no map");
      return [];
    });
  }

  #key(pair: Pair<ParsedNode, ParsedNode | null>, path: FieldPath): string | undefined {
    const key = keyText(pair);
    if (key === undefined) {
      this.#error(path, "a key is neither text nor a number", "write a plain or quoted word");
    } else if (key === "__proto__") {
      this.#error(path, "the key __proto__ is not supported");
      return undefined;
    }
    return key;
  }

  #child(
    node: ParsedNode | null,
    step: string | number,
  ): { node: ParsedNode | null; offset: number } | undefined {
    const target = isAlias(node) ? this.#targets.get(node) : node;
    if (isSeq(target) && typeof step === "number") {
      const item = (target as YAMLSeq.Parsed).items[step];
      return item === undefined ? undefined : { node: item, offset: item.range[0] };
    }
    if (!isMap(target)) return undefined;
    const { items } = target as YAMLMap.Parsed;
    const pair = items.find((entry) => keyText(entry) === String(step));
    if (pair !== undefined) return { node: pair.value, offset: pairOffset(pair) };
    for (const entry of items.filter(isMergeKey)) {
      const value = isAlias(entry.value) ? this.#targets.get(entry.value) : entry.value;
      const maps = isSeq(value) ? (value as YAMLSeq.Parsed).items : [value ?? null];
      for (const map of maps) {
        const found = this.#child(map, step);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  #error(path: FieldPath, message: string, hint?: string): void {
    this.issues.push({ severity: "error", path, message, ...(hint === undefined ? {} : { hint }) });
  }

  #duplicate(path: FieldPath, offset: number): void {
    const hint = "remove one of the two";
    this.issues.push({ severity: "error", path, message: "is given twice", hint, offset });
  }

  #refuse(path: FieldPath, message: string): never {
    this.#error(path, message, "the document is not read");
    throw new Refused();
  }

  #refuseSize(path: FieldPath): never {
    this.#refuse(path, `the document has more than ${MAX_DOCUMENT_NODES} values`);
  }

  #refuseDepth(path: FieldPath): never {
    this.#refuse(path.slice(0, 4), `the document nests deeper than ${MAX_DOCUMENT_DEPTH} levels`);
  }
}

function sized(value: unknown, parts: readonly Converted[]): Converted {
  let nodes = 1;
  let height = 0;
  for (const part of parts) {
    nodes += part.nodes;
    height = Math.max(height, part.height);
  }
  return { value, nodes, height: height + 1 };
}

function isMergeKey(pair: Pair<ParsedNode, ParsedNode | null>): boolean {
  return isScalar(pair.key) && typeof pair.key.value === "symbol";
}

/** Numbers and booleans as keys become text, as Kubernetes' own reader makes them. */
function keyText(pair: Pair<ParsedNode, ParsedNode | null>): string | undefined {
  if (!isScalar(pair.key)) return undefined;
  const { value } = pair.key;
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

/**
 * People look for `key: value` at the value, for a block that begins on the next line at the key.
 */
function pairOffset(pair: Pair<ParsedNode, ParsedNode | null>): number {
  const { key, value } = pair;
  const scalar = value !== null && isScalar(value) && value.value !== null;
  return scalar ? value.range[0] : key.range[0];
}
