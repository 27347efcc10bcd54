/** What `/etc/resolv.conf` says (resolv.conf(5)), as far as a forwarder needs it. */
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import { NAMESERVERS_PER_POD, SEARCH_DOMAINS_PER_POD } from "./limits.ts";

export interface ResolverSettings {
  readonly nameservers: readonly IpAddress[];
  /** Each as labels, lower case. */
  readonly searchDomains: readonly (readonly string[])[];
}

/** Lines that cannot be read are passed over, as every resolver does. */
export function parseResolvConf(text: string): ResolverSettings {
  const nameservers: IpAddress[] = [];
  let searchDomains: readonly (readonly string[])[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...words] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    if (keyword === "nameserver") {
      const ip = parseIp(words[0] ?? "");
      if (ip !== undefined && !nameservers.includes(ip)) nameservers.push(ip);
    }
    // Of several such lines the last one counts.
    if (keyword === "search" || keyword === "domain") searchDomains = words.flatMap(domainLabels);
  }
  return {
    nameservers: nameservers.slice(0, NAMESERVERS_PER_POD),
    searchDomains: searchDomains.slice(0, SEARCH_DOMAINS_PER_POD),
  };
}

/** The labels of a domain name, lower case; none for the root and for what is no name. */
export function domainLabels(name: string): (readonly string[])[] {
  const labels = name.toLowerCase().replace(/\.$/, "").split(".");
  return labels.every((label) => /^[!-~]{1,63}$/.test(label)) ? [labels] : [];
}
