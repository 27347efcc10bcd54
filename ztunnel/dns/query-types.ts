/** Names of DNS query types for metrics, lower case as Istio's are; all others are "unknown". */

/** Source: IANA, Resource Record (RR) TYPEs. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [1, "a"],
  [2, "ns"],
  [5, "cname"],
  [6, "soa"],
  [10, "null"],
  [12, "ptr"],
  [13, "hinfo"],
  [15, "mx"],
  [16, "txt"],
  [28, "aaaa"],
  [33, "srv"],
  [35, "naptr"],
  [37, "cert"],
  [39, "dname"],
  [41, "opt"],
  [43, "ds"],
  [44, "sshfp"],
  [46, "rrsig"],
  [47, "nsec"],
  [48, "dnskey"],
  [50, "nsec3"],
  [51, "nsec3param"],
  [52, "tlsa"],
  [64, "svcb"],
  [65, "https"],
  [249, "tkey"],
  [250, "tsig"],
  [251, "ixfr"],
  [252, "axfr"],
  [255, "any"],
  [256, "uri"],
  [257, "caa"],
]);

export function queryTypeName(type: number | undefined): string {
  return (type === undefined ? undefined : NAMES.get(type)) ?? "unknown";
}
