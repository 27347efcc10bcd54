/**
 * The names under which the mesh may know the name that a client asks for: the name itself, its
 * Kubernetes short forms, and what is left of it without a search domain. Source: ambient.md F56
 * (istio/ztunnel src/dns/server.rs).
 */

export interface Alias {
  readonly labels: readonly string[];
  /** How many labels of the name are left without the search domain; undefined for other forms. */
  readonly strippedLabels: number | undefined;
}

export interface AliasOptions {
  readonly clientNamespace: string;
  /** The cluster's domain, as labels: `cluster`, `local`. */
  readonly clusterDomain: readonly string[];
  /** The client's search list, each as labels. */
  readonly searchDomains: readonly (readonly string[])[];
}

/** In order of preference, each once. All labels are lower case. */
export function* aliasesOf(labels: readonly string[], options: AliasOptions): Generator<Alias> {
  const seen = new Set<string>();
  for (const alias of allAliases(labels, options)) {
    const key = alias.labels.join(".");
    if (seen.has(key)) continue;
    seen.add(key);
    yield alias;
  }
}

function* allAliases(labels: readonly string[], options: AliasOptions): Generator<Alias> {
  yield { labels, strippedLabels: undefined };
  for (const full of kubernetesNames(labels, options)) {
    yield { labels: full, strippedLabels: undefined };
  }
  for (const domain of options.searchDomains) {
    const stripped = withoutSuffix(labels, domain);
    if (stripped === undefined) continue;
    yield { labels: stripped, strippedLabels: stripped.length };
    for (const full of kubernetesNames(stripped, options)) {
      yield { labels: full, strippedLabels: stripped.length };
    }
  }
}

/**
 * The full names that a short one may stand for: `service`, `service.namespace`,
 * `service.namespace.svc`, and the same with a pod's host name in front.
 */
function kubernetesNames(
  labels: readonly string[],
  { clientNamespace, clusterDomain }: AliasOptions,
): (readonly string[])[] {
  const inNamespace = [...labels, clientNamespace, "svc", ...clusterDomain];
  const inServices = [...labels, "svc", ...clusterDomain];
  const inCluster = [...labels, ...clusterDomain];
  const endsInSvc = labels.at(-1) === "svc";
  switch (labels.length) {
    case 1:
      return [inNamespace];
    case 2:
      return [inServices, inNamespace];
    case 3:
      return endsInSvc ? [inCluster, inServices] : [inServices];
    case 4:
      return endsInSvc ? [inCluster] : [];
    default:
      return [];
  }
}

/** The labels in front of the domain; undefined where there are none, or it ends otherwise. */
export function withoutSuffix(
  labels: readonly string[],
  suffix: readonly string[],
): readonly string[] | undefined {
  const count = labels.length - suffix.length;
  if (count < 1 || suffix.length === 0) return undefined;
  return suffix.every((label, i) => labels[count + i] === label)
    ? labels.slice(0, count)
    : undefined;
}
