/**
 * Workloads under keys that several may claim, each key mostly claimed by one. Claims keep the
 * order in which they were made; a workload that is put again keeps its place.
 */
import type { Workload } from "#common/model/workload.ts";

type Claims = Workload | Map<string, Workload>;

export class ClaimIndex {
  readonly #claims = new Map<string, Claims>();
  readonly #keysOf: (workload: Workload) => readonly string[];
  readonly #rank: (workload: Workload) => number;

  /** Of several claims the one of the highest `rank` wins, the newest among equals. */
  constructor(
    keysOf: (workload: Workload) => readonly string[],
    rank: (workload: Workload) => number,
  ) {
    this.#keysOf = keysOf;
    this.#rank = rank;
  }

  find(key: string): Workload | undefined {
    const claims = this.#claims.get(key);
    if (!(claims instanceof Map)) return claims;
    let best: Workload | undefined;
    for (const claim of claims.values()) {
      if (best === undefined || this.#rank(claim) >= this.#rank(best)) best = claim;
    }
    return best;
  }

  /** Takes the place of `previous`, which has the same uid. */
  put(workload: Workload, previous: Workload | undefined): void {
    const keys = this.#keysOf(workload);
    if (previous !== undefined) {
      for (const key of this.#keysOf(previous)) {
        if (!keys.includes(key)) this.#drop(key, previous.uid);
      }
    }
    for (const key of keys) this.#claim(key, workload);
  }

  remove(workload: Workload): void {
    for (const key of this.#keysOf(workload)) this.#drop(key, workload.uid);
  }

  #claim(key: string, workload: Workload): void {
    const claims = this.#claims.get(key);
    if (claims instanceof Map) claims.set(workload.uid, workload);
    else if (claims === undefined || claims.uid === workload.uid) this.#claims.set(key, workload);
    else this.#claims.set(key, new Map([claims, workload].map((claim) => [claim.uid, claim])));
  }

  #drop(key: string, uid: string): void {
    const claims = this.#claims.get(key);
    if (!(claims instanceof Map)) {
      if (claims?.uid === uid) this.#claims.delete(key);
      return;
    }
    claims.delete(uid);
    const [last] = claims.values();
    if (claims.size === 1 && last !== undefined) this.#claims.set(key, last);
  }
}
