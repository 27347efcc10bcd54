/** Puts a pod's rules and policy routes in place, checks that they are, and removes them. */
import { MeshError } from "#common/runtime/errors.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import {
  countRules,
  hasPolicyRule,
  type PodRuleOptions,
  podRuleset,
  podRulesIn,
  podRulesRemoval,
  policyRoutes,
  policyRoutesRemoval,
} from "./rules.ts";
import { runInNetns, runInNetnsOrThrow } from "./run-in-netns.ts";

/** Rules that are in place, and what is needed to see that they still are. */
export interface InstalledRules {
  readonly options: PodRuleOptions;
  /** The kernel's own rendering right after the rules were applied. */
  readonly listing: string;
  /** The nftables generation of that moment, or of the last full check that found all well. */
  readonly generation: number;
}

type Family = "ipv4" | "ipv6";

const families = (options: PodRuleOptions): readonly Family[] =>
  options.ipv6 ? ["ipv4", "ipv6"] : ["ipv4"];

const flag = (family: Family) => (family === "ipv4" ? "-4" : "-6");

/** Routes first: rules without them would leave replies of spoofed flows to the default route. */
export async function installRules(
  sys: Syscalls,
  netns: Netns,
  options: PodRuleOptions,
): Promise<InstalledRules> {
  for (const family of families(options)) await installPolicyRoutes(sys, netns, family);
  const ruleset = podRuleset(options);
  await runInNetnsOrThrow(sys, netns, { command: "nft", args: ["-f", "-"], input: ruleset });
  const generation = sys.inNetns(netns, () => sys.nftGeneration());
  const listing = await listRules(sys, netns);
  if (listing === undefined || countRules(listing) !== countRules(ruleset)) {
    throw new MeshError(
      "RULES_NOT_IN_PLACE",
      "the rules were changed while they were being applied",
      {
        hint: "see what else edits nftables in the pod: nsenter -t PID -n nft monitor",
      },
    );
  }
  return { options, listing, generation };
}

/**
 * What is wrong with the rules; undefined if nothing is, with the generation that was looked at.
 * Unless `full`, rules whose generation has not changed are taken as being in place.
 */
export async function checkRules(
  sys: Syscalls,
  netns: Netns,
  installed: InstalledRules,
  full: boolean,
): Promise<{ problem: string | undefined; generation: number }> {
  const generation = sys.inNetns(netns, () => sys.nftGeneration());
  if (generation === installed.generation && !full) return { problem: undefined, generation };
  const listing = await listRules(sys, netns);
  if (listing === undefined) return { problem: "the nftables tables are gone", generation };
  if (listing !== installed.listing) {
    return { problem: "the nftables rules have been changed", generation };
  }
  for (const family of families(installed.options)) {
    if (!(await hasPolicyRoutes(sys, netns, family))) {
      return { problem: `the ${family} policy route is gone`, generation };
    }
  }
  return { problem: undefined, generation };
}

/** Removes everything `installRules` made; succeeds where there is nothing. */
export async function removeRules(sys: Syscalls, netns: Netns): Promise<void> {
  await runInNetnsOrThrow(sys, netns, {
    command: "nft",
    args: ["-f", "-"],
    input: podRulesRemoval(),
  });
  for (const family of ["ipv4", "ipv6"] as const) {
    // Fails where there is no rule, or no IPv6; without rules the routes have no effect any more.
    await runInNetns(sys, netns, {
      command: "ip",
      args: [flag(family), "-force", "-batch", "-"],
      input: policyRoutesRemoval(family),
    });
  }
}

async function installPolicyRoutes(sys: Syscalls, netns: Netns, family: Family): Promise<void> {
  const args = [flag(family), "-batch", "-"];
  const command = { command: "ip", args, input: policyRoutes(family) } as const;
  const { exitCode, stderr } = await runInNetns(sys, netns, command);
  // A rule that exists cannot be added again, and ip has no "replace" for rules.
  if (exitCode === 0 || (await hasPolicyRoutes(sys, netns, family))) return;
  throw new MeshError(
    "COMMAND_FAILED",
    `ip could not add the ${family} policy route: ${stderr.trim()}`,
  );
}

async function hasPolicyRoutes(sys: Syscalls, netns: Netns, family: Family): Promise<boolean> {
  const show = (...args: string[]) =>
    runInNetns(sys, netns, { command: "ip", args: [flag(family), ...args] });
  const rules = await show("rule", "show");
  if (!hasPolicyRule(rules.stdout)) return false;
  const routes = await show("route", "show", "table", "100");
  return (
    routes.exitCode === 0 && /^local (default|0\.0\.0\.0\/0|::\/0) dev lo/m.test(routes.stdout)
  );
}

/** One run of nft for all tables: 1.0.6 lists no more than one table by name in a run. */
async function listRules(sys: Syscalls, netns: Netns): Promise<string | undefined> {
  const args = ["-s", "list", "ruleset", "inet"];
  return podRulesIn(await runInNetnsOrThrow(sys, netns, { command: "nft", args }));
}
