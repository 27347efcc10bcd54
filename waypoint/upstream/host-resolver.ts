/** Addresses of endpoints that the mesh knows by name only: hosts of ServiceEntries. */
import { lookup } from "node:dns/promises";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import { RESOLVED_NAME_MS, RESOLVED_NAMES } from "./limits.ts";

/** Undefined where the name has no address. Never rejects. */
export type ResolveHost = (hostname: string) => Promise<IpAddress | undefined>;

interface Answer {
  readonly address: Promise<IpAddress | undefined>;
  readonly until: number;
}

/** By the system's resolver. `now`: milliseconds of a clock that only goes forward. */
export function createHostResolver(now: () => number): ResolveHost {
  const answers = new Map<string, Answer>();
  return (hostname) => {
    const known = answers.get(hostname);
    if (known !== undefined && known.until > now()) return known.address;
    answers.delete(hostname);
    const [oldest] = answers.keys();
    if (answers.size >= RESOLVED_NAMES && oldest !== undefined) answers.delete(oldest);
    const address = addressOf(hostname);
    answers.set(hostname, { address, until: now() + RESOLVED_NAME_MS });
    return address;
  };
}

async function addressOf(hostname: string): Promise<IpAddress | undefined> {
  try {
    const { address } = await lookup(hostname);
    return parseIp(address);
  } catch {
    // Whoever asked says which name it was.
    return undefined;
  }
}
