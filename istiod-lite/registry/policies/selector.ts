/**
 * Which workloads a policy's selector picks, and an index that finds the policies that pick a
 * workload.
 */

import type { LabelSelector } from "#common/kubernetes/objects.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import type { Issues } from "./issues.ts";
import { unknownFields } from "./rule-entry.ts";

export type Labels = Readonly<Record<string, string>>;

export interface ParsedSelector {
  /** Every one of these must be on the workload; empty selects all, like an absent selector. */
  readonly labels: Labels;
  /** Whether a part could not be read: `labels` then selects more than was meant. */
  readonly broken: boolean;
}

// A Kubernetes label value:
// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$/;

/** Reads `spec.selector`. Absent, `{}` and `{matchLabels: {}}` all select everything. */
export function parseSelector(selector: LabelSelector | undefined, issues: Issues): ParsedSelector {
  const labels: [string, string][] = [];
  const before = issues.list.length;
  const invalid = (field: string, value: unknown, problem: string): void => {
    const outcome = "the policy covers more workloads and is enforced at its strictest";
    issues.add({ cause: "invalid", effect: "narrowed" }, field, value, `${problem}: ${outcome}`);
  };
  const raw: unknown = selector ?? {};
  if (!isJsonObject(raw)) invalid("selector", raw, "this must be an object");
  else {
    for (const [field, value] of unknownFields(raw, ["matchLabels"])) {
      invalid(`selector.${field}`, value, "policies select by matchLabels only");
    }
    const wanted = raw.matchLabels ?? {};
    if (!isJsonObject(wanted)) invalid("selector.matchLabels", wanted, "this must be an object");
    else {
      for (const [name, value] of Object.entries(wanted)) {
        if (typeof value === "string" && LABEL_VALUE.test(value)) labels.push([name, value]);
        else invalid(`selector.matchLabels.${name}`, value, "this is no label value");
      }
    }
  }
  return { labels: Object.fromEntries(labels), broken: issues.list.length > before };
}

export function selectsAll(labels: Labels): boolean {
  return Object.keys(labels).length === 0;
}

export function selects(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([name, value]) => hasLabel(labels, name, value));
}

function hasLabel(labels: Labels, name: string, value: string): boolean {
  return Object.hasOwn(labels, name) && labels[name] === value;
}

/**
 * Items under non-empty selectors, found by the labels of a workload without looking at the others.
 */
export class SelectorIndex<Item> {
  readonly #byLabel = new Map<string, Map<Item, Labels>>();

  /** The number of different index labels: 0 when nothing is in it. */
  get size(): number {
    return this.#byLabel.size;
  }

  add(selector: Labels, item: Item): void {
    const label = indexLabel(selector);
    const items = this.#byLabel.get(label);
    if (items === undefined) this.#byLabel.set(label, new Map([[item, selector]]));
    else items.set(item, selector);
  }

  delete(selector: Labels, item: Item): void {
    const label = indexLabel(selector);
    const items = this.#byLabel.get(label);
    items?.delete(item);
    if (items?.size === 0) this.#byLabel.delete(label);
  }

  find(labels: Labels): Item[] {
    const found: Item[] = [];
    for (const [name, value] of Object.entries(labels)) {
      for (const [item, selector] of this.#byLabel.get(`${name}=${value}`) ?? []) {
        if (selects(selector, labels)) found.push(item);
      }
    }
    return found;
  }
}

/**
 * The label that a selector is filed under: its last by name, which is as good as any and always
 * the same.
 */
function indexLabel(selector: Labels): string {
  const name = Object.keys(selector).sort().at(-1) ?? "";
  return `${name}=${selector[name] ?? ""}`;
}
