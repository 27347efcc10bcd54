/**
 * What becomes of a query, whichever way it came: answered by the mesh, forwarded, or discarded.
 */
import { pause } from "#common/runtime/pause.ts";
import { type NameAnswer, writeAnswer } from "./answer.ts";
import type { DnsLabels, DnsTransport } from "./dns-metrics.ts";
import { DNS_QUERY_TIMEOUT_MS } from "./limits.ts";
import { lookUp } from "./look-up.ts";
import { readAddressQuery, readHeader, readQuestion } from "./message.ts";
import type { PodDnsContext } from "./pod-dns-context.ts";

export type Decision =
  | { readonly kind: "answer"; readonly answer: Buffer }
  | { readonly kind: "forward"; readonly labels: DnsLabels }
  /** No query at all: answering answers is how loops begin. */
  | { readonly kind: "discard" };

/** Counts the query, and answers it if the mesh knows the name. Pure but for the counting. */
export function decide(context: PodDnsContext, query: Buffer, transport: DnsTransport): Decision {
  const { metrics, network, options, pod, random, resolver, state } = context;
  const header = readHeader(query);
  if (header === undefined || header.isResponse) {
    metrics.discarded("malformed-query");
    return { kind: "discard" };
  }
  const source = state.findWorkloadByUid(pod.workloadUid);
  const labels = metrics.labels(readQuestion(query)?.type, transport, source);
  metrics.requested(labels);
  const parsed = readAddressQuery(query);
  if (parsed === undefined) return { kind: "forward", labels };
  const client = {
    namespace: pod.namespace,
    network,
    searchDomains: resolver.settings.searchDomains,
  };
  const found = lookUp(state, parsed, client, options);
  if (found === undefined) return { kind: "forward", labels };
  const answer = writeAnswer(query, parsed, shuffled(found, random), transport);
  return { kind: "answer", answer };
}

/** Whether the mesh's names are known now, or soon enough; resolves at once where they are. */
export async function waitForSync(context: PodDnsContext): Promise<boolean> {
  if (context.isSynced()) return true;
  const waiting = new AbortController();
  const { signal } = waiting;
  await Promise.race([context.synced, pause(DNS_QUERY_TIMEOUT_MS, signal)]);
  waiting.abort();
  return context.isSynced();
}

/** Clients take the first address: let it be another one each time (Fisher and Yates). */
function shuffled({ addresses, strippedLabels }: NameAnswer, random: () => number): NameAnswer {
  if (addresses.length < 2) return { addresses, strippedLabels };
  const order = [...addresses];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [order[i], order[j]];
    if (a === undefined || b === undefined) continue;
    order[i] = b;
    order[j] = a;
  }
  return { addresses: order, strippedLabels };
}
