/**
 * Which pods a selector selects and which selectors select a pod, inside one namespace each,
 * without looking at every pod or every selector: both are filed under single `key=value` pairs.
 */
import { addToSet, deleteFromSet } from "./multi-map.ts";

export type Labels = Readonly<Record<string, string>>;

/** Whether the labels carry every pair of the selector. An empty selector selects everything. */
export function selectorMatches(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

export class LabelIndex {
  readonly #podsByPair = new Map<string, Set<string>>();
  readonly #selectorsByPair = new Map<string, Set<string>>();

  addPod(namespace: string, pod: string, labels: Labels): void {
    for (const pair of pairs(namespace, labels)) addToSet(this.#podsByPair, pair, pod);
  }

  removePod(namespace: string, pod: string, labels: Labels): void {
    for (const pair of pairs(namespace, labels)) deleteFromSet(this.#podsByPair, pair, pod);
  }

  /** `selector` must not be empty. */
  addSelector(namespace: string, owner: string, selector: Labels): void {
    addToSet(this.#selectorsByPair, firstPair(namespace, selector), owner);
  }

  removeSelector(namespace: string, owner: string, selector: Labels): void {
    deleteFromSet(this.#selectorsByPair, firstPair(namespace, selector), owner);
  }

  /** Pods that carry one pair of the selector, the rarest: the caller checks the others. */
  candidatePods(namespace: string, selector: Labels): ReadonlySet<string> {
    let fewest: ReadonlySet<string> | undefined;
    for (const pair of pairs(namespace, selector)) {
      const pods = this.#podsByPair.get(pair) ?? new Set<string>();
      if (fewest === undefined || pods.size < fewest.size) fewest = pods;
    }
    return fewest ?? new Set();
  }

  /** Owners of selectors of which the labels carry one pair: the caller checks the others. */
  *candidateSelectors(namespace: string, labels: Labels): Iterable<string> {
    for (const pair of pairs(namespace, labels)) yield* this.#selectorsByPair.get(pair) ?? [];
  }
}

function pairs(namespace: string, labels: Labels): string[] {
  return Object.entries(labels).map(([key, value]) => `${namespace}/${key}=${value}`);
}

function firstPair(namespace: string, selector: Labels): string {
  return pairs(namespace, selector).sort()[0] ?? "";
}
