/** Kinds of the core group with little to check: Node, Namespace, ServiceAccount, ConfigMap. */

import type { Node } from "#common/kubernetes/objects.ts";
import {
  cidrBlock,
  configMapKey,
  dnsLabel,
  dnsSubdomain,
  notEmpty,
} from "#common/kubernetes/validate/formats.ts";
import { defineKind } from "#common/kubernetes/validate/metadata.ts";
import { list, map, object, type Report, text } from "#common/kubernetes/validate/schema.ts";
import { isIpv6Address, parseCidr, parseIp } from "#common/model/ip.ts";

type NodeSpec = NonNullable<Node["spec"]>;

export const node = defineKind({
  kind: "Node",
  namespaced: false,
  name: dnsSubdomain,
  fields: {
    spec: object<NodeSpec>(
      {
        podCIDR: text(cidrBlock),
        podCIDRs: list(text(cidrBlock), { min: 1, max: 2 }),
        taints: list(object({ key: text(notEmpty), effect: text() }, { required: ["key"] })),
      },
      { check: checkPodCidrs },
    ),
    status: object({
      addresses: list(
        object(
          { type: text(notEmpty), address: text(notEmpty) },
          { required: ["type", "address"] },
        ),
      ),
    }),
  },
});

export const namespace = defineKind({ kind: "Namespace", namespaced: false, name: dnsLabel });

export const serviceAccount = defineKind({ kind: "ServiceAccount", name: dnsSubdomain });

export const configMap = defineKind({
  kind: "ConfigMap",
  name: dnsSubdomain,
  fields: { data: map(text(), configMapKey) },
});

function checkPodCidrs(spec: NodeSpec, report: Report): void {
  const blocks = spec.podCIDRs ?? [];
  const [first] = blocks;
  if (spec.podCIDR !== undefined && first !== undefined && spec.podCIDR !== first) {
    report("error", ["podCIDR"], `differs from the first of podCIDRs, ${first}`);
  }
  const families = new Set(blocks.map((block) => parseCidr(block)?.bytes.length));
  if (families.size < blocks.length) {
    report("error", ["podCIDRs"], "two blocks must be one IPv4 and one IPv6 block");
  }
}

/** Whether two addresses are of different families; false when one of them is no address. */
export function differInFamily(a: string, b: string): boolean {
  const first = parseIp(a);
  const second = parseIp(b);
  if (first === undefined || second === undefined) return false;
  return isIpv6Address(first) !== isIpv6Address(second);
}
