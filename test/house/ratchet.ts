/**
 * The list of what was over budget when its budget came, in ratchet.json. Nothing new may come
 * onto it, nothing on it may grow, and what shrank has to be written down, so that it stays.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BUDGETS, type Budget, type Sizes } from "./sizes.ts";

const RATCHET_FILE = join(import.meta.dirname, "ratchet.json");
const ALL_BUDGETS = Object.keys(BUDGETS) as Budget[];

export function readRatchet(): Sizes {
  return JSON.parse(readFileSync(RATCHET_FILE, "utf8")) as Sizes;
}

export function writeRatchet(sizes: Sizes): void {
  writeFileSync(RATCHET_FILE, `${JSON.stringify(sizes, undefined, 2)}\n`);
}

/** One line per difference between what is there and what is allowed to be. */
export function compareWithRatchet(actual: Sizes, allowed: Sizes): string[] {
  return ALL_BUDGETS.flatMap((budget) => [
    ...excesses(budget, actual[budget], allowed[budget]),
    ...improvements(budget, actual[budget], allowed[budget]),
  ]);
}

type Counts = Readonly<Record<string, number>>;

function excesses(budget: Budget, actual: Counts, allowed: Counts): string[] {
  const { limit, unit, advice } = BUDGETS[budget];
  return Object.entries(actual)
    .filter(([name, size]) => size > (allowed[name] ?? limit))
    .map(([name, size]) => {
      const bound = `${allowed[name] ?? limit} are allowed`;
      return `${name} has ${size} ${unit}, ${bound}: ${advice}`;
    });
}

function improvements(budget: Budget, actual: Counts, allowed: Counts): string[] {
  const { limit, unit } = BUDGETS[budget];
  return Object.entries(allowed)
    .filter(([name, bound]) => (actual[name] ?? limit) < bound)
    .map(([name, bound]) => `${name} no longer has ${bound} ${unit}: type npm run ratchet`);
}

/** The ratchet after what shrank was taken over. Never looser than `allowed`. */
export function lowerRatchet(actual: Sizes, allowed: Sizes): Sizes {
  const lowered = (budget: Budget): Counts =>
    Object.fromEntries(
      Object.entries(allowed[budget])
        .map(([name, bound]): [string, number] => [
          name,
          Math.min(bound, actual[budget][name] ?? BUDGETS[budget].limit),
        ])
        .filter(([, bound]) => bound > BUDGETS[budget].limit),
    );
  return {
    fileLines: lowered("fileLines"),
    functionLines: lowered("functionLines"),
    wideLines: lowered("wideLines"),
  };
}
