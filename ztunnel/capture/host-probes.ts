/** Keeps the node's probe rules in place, with the addresses of the captured pods in their sets. */
import type { IpAddress } from "#common/model/ip.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import {
  probeRuleset,
  probeRulesetHolds,
  probeRulesetRemoval,
  probeSetChange,
  probeSetFlush,
} from "./host-probe-rules.ts";
import type { ProbeAdmission } from "./listener-sink.ts";
import { NAT_TABLE } from "./rules.ts";
import { runInNetns, runInNetnsOrThrow } from "./run-in-netns.ts";

/** Changes that come at once are applied in one transaction; each caller waits for that one. */
export class HostProbes implements ProbeAdmission {
  readonly #sys: Syscalls;
  readonly #node: Netns;
  readonly #ipsOfPods = new Map<string, readonly IpAddress[]>();
  /** What the sets are known to hold; undefined until the rules are in place. */
  #programmed: ReadonlySet<IpAddress> | undefined;
  #exact = false;
  /** The nftables generation that the last check found all well in: nothing has changed since. */
  #checkedGeneration: number | undefined;
  #lastRun: Promise<void> = Promise.resolve();
  #scheduled: Promise<void> | undefined;

  /**
   * `node` is the namespace that kubelet's probes come from, which need not be the process's own.
   * The caller closes it.
   */
  constructor(sys: Syscalls, node: Netns) {
    this.#sys = sys;
    this.#node = node;
  }

  /** Whether addresses that an earlier process left in the sets have been dropped. */
  get exact(): boolean {
    return this.#exact;
  }

  async admit(podUid: string, ips: readonly IpAddress[]): Promise<void> {
    this.#ipsOfPods.set(podUid, ips);
    if (ips.every((ip) => this.#programmed?.has(ip))) return;
    await this.#apply();
  }

  async withdraw(podUid: string): Promise<void> {
    if (this.#ipsOfPods.delete(podUid)) await this.#apply();
  }

  /** Drops every address that no admitted pod has. */
  async forgetOthers(): Promise<void> {
    await this.#apply();
    await this.#serially(() => this.#replaceSets());
    this.#exact = true;
  }

  /** Puts the rules in place if they are not, or not whole. Returns whether they had been lost. */
  async check(): Promise<boolean> {
    const before = this.#programmed;
    if (before === undefined) {
      await this.#apply();
      return false;
    }
    const generation = this.#sys.inNetns(this.#node, () => this.#sys.nftGeneration());
    if (generation === this.#checkedGeneration) return false;
    const { exitCode, stdout } = await runInNetns(this.#sys, this.#node, {
      command: "nft",
      args: ["list", "table", "inet", NAT_TABLE],
    });
    if (this.#programmed !== before) return false;
    if (exitCode === 0 && probeRulesetHolds(stdout, before)) {
      this.#checkedGeneration = generation;
      return false;
    }
    this.#programmed = undefined;
    await this.#apply();
    return true;
  }

  /** Removes rules and sets: only when the mesh leaves this node for good. */
  async remove(): Promise<void> {
    await this.#serially(() => this.#nft(probeRulesetRemoval()));
    this.#programmed = undefined;
  }

  #apply(): Promise<void> {
    this.#scheduled ??= this.#serially(() => {
      this.#scheduled = undefined;
      return this.#program();
    });
    return this.#scheduled;
  }

  #serially(run: () => Promise<void>): Promise<void> {
    const result = this.#lastRun.then(run);
    this.#lastRun = result.catch(() => undefined);
    return result;
  }

  async #program(): Promise<void> {
    const wanted = new Set([...this.#ipsOfPods.values()].flat());
    const programmed = this.#programmed;
    if (programmed === undefined) {
      await this.#nft(probeRuleset(wanted));
    } else {
      const change =
        probeSetChange("add", without(wanted, programmed)) +
        probeSetChange("delete", without(programmed, wanted));
      if (change === "") return;
      // Someone else has changed the sets or removed the table: from the start, next time.
      this.#programmed = undefined;
      await this.#nft(change).catch(() => this.#nft(probeRuleset(wanted)));
    }
    this.#programmed = wanted;
  }

  async #replaceSets(): Promise<void> {
    const addresses = this.#programmed ?? new Set();
    await this.#nft(probeSetFlush() + probeSetChange("add", addresses));
  }

  async #nft(input: string): Promise<void> {
    await runInNetnsOrThrow(this.#sys, this.#node, { command: "nft", args: ["-f", "-"], input });
  }
}

function without(all: ReadonlySet<IpAddress>, excluded: ReadonlySet<IpAddress>): IpAddress[] {
  return [...all].filter((ip) => !excluded.has(ip));
}
