/** One rule of an Authorization, read so that what is unknown in it never lets more through. */
import {
  type Clause,
  EMPTY_MATCH,
  type Match,
  type PolicyAction,
  type Rule,
  type ServiceAccountMatch,
  type StringMatch,
} from "#common/model/authorization.ts";
import { type Cidr, ipFromBytes, ipToBytes } from "#common/model/ip.ts";
import type * as wire from "./gen/istio/authorization_pb.js";
import { UNREADABLE_NOTES } from "./limits.ts";

interface WireMessage {
  $unknown?: unknown[] | undefined;
}

/** Gathers what could not be read. */
export class Unreadable {
  readonly notes: string[] = [];

  note(text: string): void {
    if (this.notes.length < UNREADABLE_NOTES) this.notes.push(text);
  }

  /** Whether the message has no field that this version does not know. */
  unknownFields(message: WireMessage, what: string): boolean {
    if ((message.$unknown?.length ?? 0) === 0) return true;
    this.note(`${what} has a field that this version does not know`);
    return false;
  }
}

/** A clause that nothing meets: a match without fields never matches. */
const NEVER: Clause = { matches: [EMPTY_MATCH] };

export class RuleReader {
  readonly #deny: boolean;
  readonly #unreadable: Unreadable;

  constructor(action: PolicyAction, unreadable: Unreadable) {
    this.#deny = action === "deny";
    this.#unreadable = unreadable;
  }

  /** None where the rule is unknown and must not match. */
  read(rule: wire.Rule): readonly Rule[] {
    if (!this.#unreadable.unknownFields(rule, "a rule")) {
      return this.#deny ? [{ clauses: [] }] : [];
    }
    return [{ clauses: exactly(rule.clauses.flatMap((clause) => this.#clause(clause))) }];
  }

  /** None for a clause that counts as met. */
  #clause(clause: wire.Clause): readonly Clause[] {
    if (!this.#unreadable.unknownFields(clause, "a clause")) return this.#deny ? [] : [NEVER];
    if (clause.matches.length === 0) return [{ matches: [] }];
    const matches: Match[] = [];
    for (const message of clause.matches) {
      const match = this.#match(message);
      if (match === "always") return [];
      if (match !== "never") matches.push(match);
    }
    return matches.length === 0 ? [NEVER] : [{ matches: exactly(matches) }];
  }

  #match(message: wire.Match): Match | "always" | "never" {
    let whole = this.#unreadable.unknownFields(message, "a match");
    if (message.extensions.length > 0) {
      this.#unreadable.note("a match has an extension that this version does not know");
      whole = false;
    }
    const fields: Record<string, readonly unknown[]> = {};
    const take = <V, W>(field: keyof Match, list: readonly V[], read: (value: V) => W | Bad) => {
      // Lists that are empty are one and the same for all policies, and others just long enough:
      // there are many of them.
      if (list.length === 0) return;
      const values = list.map(read);
      const hasBad = values.some((value) => value instanceof Bad);
      const good = hasBad ? values.filter((value) => !(value instanceof Bad)) : values;
      for (const bad of values) if (bad instanceof Bad) this.#unreadable.note(bad.problem);
      const complete = good.length === values.length;
      whole &&= complete;
      // Without one of its values a list asks for less; a `not...` list then excludes less.
      fields[field] = complete || field.startsWith("not") ? good : [];
    };
    readFields(message, take);
    const match = { ...EMPTY_MATCH, ...fields };
    if (whole) return match;
    if (!this.#deny) return "never";
    return Object.values(match).some((values) => values.length > 0) ? match : "always";
  }
}

/** Without the room that a list that grew keeps for 16 more. */
function exactly<Value>(list: readonly Value[]): readonly Value[] {
  return list.slice();
}

type Take = <V, W>(field: keyof Match, list: readonly V[], read: (value: V) => W | Bad) => void;

function readFields(message: wire.Match, take: Take): void {
  take("namespaces", message.namespaces, readString);
  take("notNamespaces", message.notNamespaces, readString);
  take("principals", message.principals, readString);
  take("notPrincipals", message.notPrincipals, readString);
  take("serviceAccounts", message.serviceAccounts, readAccount);
  take("notServiceAccounts", message.notServiceAccounts, readAccount);
  take("sourceIps", message.sourceIps, readBlock);
  take("notSourceIps", message.notSourceIps, readBlock);
  take("destinationIps", message.destinationIps, readBlock);
  take("notDestinationIps", message.notDestinationIps, readBlock);
  take("destinationPorts", message.destinationPorts, readPort);
  take("notDestinationPorts", message.notDestinationPorts, readPort);
}

/** A value that cannot be read. */
class Bad {
  readonly problem: string;

  constructor(problem: string) {
    this.problem = problem;
  }
}

function unknownIn(message: WireMessage, what: string): Bad | undefined {
  if ((message.$unknown?.length ?? 0) === 0) return undefined;
  return new Bad(`${what} has a field that this version does not know`);
}

function readString(message: wire.StringMatch): StringMatch | Bad {
  const unknown = unknownIn(message, "a string match");
  if (unknown !== undefined) return unknown;
  const { matchType } = message;
  if (matchType.case === undefined) return new Bad("a string match is empty");
  if (matchType.case === "presence") return { kind: "presence" };
  return { kind: matchType.case, value: matchType.value };
}

function readAccount(message: wire.ServiceAccountMatch): ServiceAccountMatch | Bad {
  const { namespace, serviceAccount } = message;
  return unknownIn(message, "a service account match") ?? { namespace, serviceAccount };
}

function readPort(port: number): number | Bad {
  return port > 65535 ? new Bad(`${port} is not a port number`) : port;
}

function readBlock(message: wire.Address): Cidr | Bad {
  const unknown = unknownIn(message, "an address");
  if (unknown !== undefined) return unknown;
  const ip = ipFromBytes(message.address);
  if (ip === undefined) {
    return new Bad(`an address has ${message.address.length} bytes, and not 4 or 16`);
  }
  const bytes = ipToBytes(ip);
  // An IPv4-mapped block becomes the IPv4 block it stands for: peers are un-mapped before they are
  // looked at, so the 16-byte form would never match. One wider than ::ffff:0:0/96 is no IPv4
  // block.
  const length = message.length - (message.address.length - bytes.length) * 8;
  if (length >= 0 && length <= bytes.length * 8) return { bytes, length };
  return new Bad(`prefix length ${message.length} does not fit its address`);
}
