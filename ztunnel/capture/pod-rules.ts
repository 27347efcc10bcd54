/** Puts a pod's rules and policy routes in place, checks that they are, and removes them. */
import type { RepairReason } from "#common/model/captured-pod.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Netlink } from "#ztunnel/sys/netlink.ts";
import type { NftTable } from "#ztunnel/sys/nft-tables.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { leaveWaitingConnections } from "./listener-handover.ts";
import {
  countRules,
  POD_TABLES,
  type PodRuleOptions,
  podRedirectsRemoval,
  podRuleset,
  podRulesRemoval,
  policyRoute,
  ROUTE_TABLE,
  RULE_PRIORITY,
  SPOOFED_FLOW_MARK,
} from "./rules.ts";
import { runInNetns, runInNetnsOrThrow } from "./run-in-netns.ts";

export interface RulesDeps {
  readonly sys: Syscalls;
  readonly netlink: Netlink;
}

/** Rules that are in place, and what is needed to see that they still are. */
export interface InstalledRules {
  readonly options: PodRuleOptions;
  /** As the kernel had them right after they were applied, in the order of `POD_TABLES`. */
  readonly tables: readonly NftTable[];
  /** The nftables generation of that moment, or of the last check that found all well. */
  readonly generation: number;
}

/** Something that is not as it was put in place. */
export interface Problem {
  readonly reason: RepairReason;
  /** For people: "nftables tables are gone: istio-ambient-nat". */
  readonly found: string;
}

type Family = "ipv4" | "ipv6";

/** Reserved (RFC 1112) and discard-only (RFC 6666): no pod's, and only the default route's. */
const NOBODY: Readonly<Record<Family, IpAddress>> = {
  ipv4: "240.0.0.1" as IpAddress,
  ipv6: "100::1" as IpAddress,
};

const families = (options: PodRuleOptions): readonly Family[] =>
  options.ipv6 ? ["ipv4", "ipv6"] : ["ipv4"];

const flag = (family: Family) => (family === "ipv4" ? "-4" : "-6");

/** Routes first: rules without them would leave replies of spoofed flows to the default route. */
export async function installRules(
  deps: RulesDeps,
  netns: Netns,
  options: PodRuleOptions,
): Promise<InstalledRules> {
  const { sys } = deps;
  for (const family of families(options)) installPolicyRoute(deps, netns, family);
  const ruleset = podRuleset(options);
  await runInNetnsOrThrow(sys, netns, { command: "nft", args: ["-f", "-"], input: ruleset });
  // The generation first: what is changed after it is noticed by the next check.
  const generation = sys.inNetns(netns, () => sys.nftGeneration());
  const tables = readTables(deps, netns).filter((table) => table !== undefined);
  const rules = tables.reduce((sum, table) => sum + table.rules, 0);
  if (tables.length !== POD_TABLES.length || rules !== countRules(ruleset)) {
    throw new MeshError(
      "RULES_NOT_IN_PLACE",
      "the rules were changed while they were being applied",
      {
        hint: "see what else edits nftables in the pod: nsenter -t PID -n nft monitor",
      },
    );
  }
  return { options, tables, generation };
}

/**
 * What is wrong with the rules of a namespace that this process has not put any in. None is right
 * before the first capture, all is right after an earlier ztunnel. Its policy routes tell of one
 * too: they outlive what a flush of nftables takes.
 */
export function findRemains(
  deps: RulesDeps,
  netns: Netns,
  capturedByUs: boolean,
): Problem | undefined {
  const capturedBefore = capturedByUs || hasPolicyRoute(deps, netns, "ipv4");
  const tables = readTables(deps, netns);
  const isEmpty = tables.every((table) => table === undefined);
  return isEmpty && !capturedBefore ? undefined : goneTables(tables)[0];
}

/**
 * What is wrong with rules and routes, with the generation that was looked at: rules are as they
 * were as long as that is. Routes are looked at if the rules have changed, or `full`.
 */
export function checkRules(
  deps: RulesDeps,
  netns: Netns,
  installed: InstalledRules,
  full: boolean,
): { readonly problems: readonly Problem[]; readonly generation: number } {
  const { sys } = deps;
  const generation = sys.inNetns(netns, () => sys.nftGeneration());
  const isSame = generation === installed.generation;
  if (isSame && !full) return { problems: [], generation };
  const tables = isSame ? installed.tables : readTables(deps, netns);
  const problems = [
    ...goneTables(tables),
    ...POD_TABLES.flatMap((name, i) => compareTable(name, installed.tables[i], tables[i]) ?? []),
  ];
  const unrouted = families(installed.options).filter((f) => !hasPolicyRoute(deps, netns, f));
  const routes = unrouted.map((family): Problem => {
    return { reason: "policy-route", found: `the ${family} policy rule or its route is gone` };
  });
  return { problems: [...problems, ...routes], generation };
}

/** New connections pass ztunnel by; those that pass through it go on. No rules, nothing to do. */
export async function removeRedirects({ sys }: RulesDeps, netns: Netns): Promise<void> {
  const input = podRedirectsRemoval();
  await runInNetns(sys, netns, { command: "nft", args: ["-f", "-"], input });
}

/** Removes everything that capture made but listeners; succeeds where there is nothing. */
export async function removeRules({ sys, netlink }: RulesDeps, netns: Netns): Promise<void> {
  await runInNetnsOrThrow(sys, netns, {
    command: "nft",
    args: ["-f", "-"],
    input: podRulesRemoval(),
  });
  for (const family of ["ipv4", "ipv6"] as const) {
    sys.inNetns(netns, () => netlink.removePolicyRoute(policyRoute(family)));
  }
  leaveWaitingConnections(sys, netns);
}

function readTables({ sys, netlink }: RulesDeps, netns: Netns): (NftTable | undefined)[] {
  return sys.inNetns(netns, () => POD_TABLES.map((name) => netlink.nftTable(name)));
}

function goneTables(tables: readonly (NftTable | undefined)[]): Problem[] {
  const gone = POD_TABLES.filter((_, i) => tables[i] === undefined);
  if (gone.length === 0) return [];
  return [{ reason: "rules-missing", found: `nftables tables are gone: ${gone.join(", ")}` }];
}

function compareTable(
  name: string,
  before: NftTable | undefined,
  now: NftTable | undefined,
): Problem | undefined {
  if (now === undefined) return undefined;
  const missing = (before?.rules ?? 0) - now.rules;
  if (missing > 0) {
    const found = `${missing} of ${before?.rules} rules of the nftables table ${name} are gone`;
    return { reason: "rules-missing", found };
  }
  if (before?.digest === now.digest) return undefined;
  return { reason: "rules-changed", found: `the nftables table ${name} has been changed` };
}

function installPolicyRoute(deps: RulesDeps, netns: Netns, family: Family): void {
  if (hasPolicyRoute(deps, netns, family)) return;
  const { sys, netlink } = deps;
  sys.inNetns(netns, () => netlink.addPolicyRoute(policyRoute(family)));
  // What counts is what comes of it.
  if (hasPolicyRoute(deps, netns, family)) return;
  throw new MeshError(
    "POLICY_ROUTE_NOT_IN_EFFECT",
    `replies of the pod are not routed to ztunnel (${family}): another rule comes first`,
    {
      hint: `see what comes before ${RULE_PRIORITY}: nsenter -t PID -n ip ${flag(family)} rule`,
    },
  );
}

/** Whether a marked reply would be delivered in the pod itself: by the rule and its route. */
function hasPolicyRoute({ sys, netlink }: RulesDeps, netns: Netns, family: Family): boolean {
  const found = sys.inNetns(netns, () => netlink.route(NOBODY[family], SPOOFED_FLOW_MARK));
  return found?.local === true && found.table === ROUTE_TABLE;
}
