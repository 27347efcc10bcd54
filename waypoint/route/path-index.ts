/**
 * Finds the matches whose path may hold without looking at the others: exact paths and prefixes by
 * the path's own parts, the rest one after the other.
 */
import type { HttpMatch } from "#common/model/waypoint/http-route.ts";
import { compileRegex, literalPrefix, type Report } from "./regex.ts";
import type { RequestView } from "./request-view.ts";

/** Tries the candidates of one list, smallest key first; returns the smallest key found so far. */
export type TryList = (keys: readonly number[], best: number) => number;

/** A path's own test, for matches that no map finds. */
export type PathTest = (request: RequestView) => boolean;

/** Lists of keys by a text. */
class Lists {
  readonly byText = new Map<string, number[]>();
  /** Of the longest text. */
  longest = 0;

  add(text: string, key: number): void {
    const list = this.byText.get(text);
    if (list === undefined) this.byText.set(text, [key]);
    else list.push(key);
    if (text.length > this.longest) this.longest = text.length;
  }
}

/** The lists for paths compared as they are, or for those compared in lower case. */
class PathLists {
  readonly exact = new Lists();
  /** By the prefix without a slash at its end. */
  readonly segments = new Lists();
  readonly prefixes = new Lists();
  #prefixLengths: readonly number[] = [];

  all(): readonly Lists[] {
    return [this.exact, this.segments, this.prefixes];
  }

  finish(): void {
    const lengths = new Set([...this.prefixes.byText.keys()].map((text) => text.length));
    this.#prefixLengths = [...lengths].sort((a, b) => a - b);
  }

  find(path: string, first: number, tryList: TryList): number {
    let best = first;
    const exact = this.exact.byText.get(path);
    if (exact !== undefined) best = tryList(exact, best);
    if (this.segments.byText.size > 0) best = this.#findSegments(path, best, tryList);
    for (const length of this.#prefixLengths) {
      if (length > path.length) break;
      const list = this.prefixes.byText.get(path.slice(0, length));
      if (list !== undefined) best = tryList(list, best);
    }
    return best;
  }

  #findSegments(path: string, first: number, tryList: TryList): number {
    const { byText, longest } = this.segments;
    let best = first;
    let end = path.startsWith("/") ? 0 : path.length;
    while (end <= longest) {
      const list = byText.get(path.slice(0, end));
      if (list !== undefined) best = tryList(list, best);
      if (end >= path.length) break;
      const slash = path.indexOf("/", end + 1);
      end = slash < 0 ? path.length : slash;
    }
    return best;
  }
}

export class PathIndex {
  readonly #asWritten = new PathLists();
  readonly #lowerCase = new PathLists();
  #hasLowerCase = false;
  /** Regular expressions that begin with no literal, and matches without a path. */
  readonly #rest: number[] = [];

  /**
   * Puts a match in its place. Returns the test of its path where the place alone does not decide;
   * `false` where it can never hold, which has been reported.
   */
  add(path: HttpMatch["path"], key: number, report: Report): PathTest | undefined | false {
    if (path?.kind === "regex") return this.#addRegex(path, key, report);
    if (path === undefined) {
      this.#rest.push(key);
      return undefined;
    }
    const lower = path.ignoreCase === true;
    const lists = lower ? this.#lowerCase : this.#asWritten;
    this.#hasLowerCase ||= lower;
    const value = lower ? path.value.toLowerCase() : path.value;
    if (path.kind === "exact") lists.exact.add(value, key);
    else if (path.kind === "prefix") lists.prefixes.add(value, key);
    else lists.segments.add(value.endsWith("/") ? value.slice(0, -1) : value, key);
    return undefined;
  }

  /** What an expression surely begins with makes it a prefix, of which the test sees the rest. */
  #addRegex(
    { value, ignoreCase = false }: NonNullable<HttpMatch["path"]>,
    key: number,
    report: Report,
  ): PathTest | false {
    const regex = compileRegex(value, ignoreCase, report);
    if (regex === undefined) return false;
    const literal = ignoreCase ? "" : literalPrefix(value);
    if (literal === "") this.#rest.push(key);
    else this.#asWritten.prefixes.add(literal, key);
    return ({ pathname }) => regex.testExact(pathname);
  }

  /** To be run to its end after the last `add`; stops in between so that others get their turn. */
  *finish(): Generator<undefined, void> {
    for (const lists of [this.#asWritten, this.#lowerCase]) {
      lists.finish();
      for (const { byText } of lists.all()) {
        for (const list of byText.values()) {
          if (list.length > 1) list.sort(ascending);
          yield;
        }
      }
    }
    this.#rest.sort(ascending);
  }

  /** The smallest key that `tryList` finds, or Infinity. */
  find(request: RequestView, tryList: TryList): number {
    let best = this.#asWritten.find(request.pathname, Infinity, tryList);
    if (this.#hasLowerCase) best = this.#lowerCase.find(request.lowerPathname, best, tryList);
    return tryList(this.#rest, best);
  }
}

const ascending = (a: number, b: number): number => a - b;
