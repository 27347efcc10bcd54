/**
 * The name servers and search domains of one pod: those of its own /etc/resolv.conf, read through
 * its sandbox. Where there is none to be read they are ztunnel's own name servers, as in Istio, and
 * the search domains that a kubelet gives to pods.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { IpAddress } from "#common/model/ip.ts";
import { RESOLV_CONF_BYTES, RESOLV_CONF_MAX_AGE_MS } from "./limits.ts";
import { domainLabels, parseResolvConf, type ResolverSettings } from "./resolv-conf.ts";

/** ztunnel's own, in its own file system. */
const OWN_RESOLV_CONF = "/etc/resolv.conf";

export interface PodResolverOptions {
  /** Finds the file, as ztunnel sees it; undefined where the pod's files are out of reach. */
  readonly locate: () => Promise<string | undefined>;
  readonly namespace: string;
  readonly clusterDomain: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

export class PodResolver {
  readonly #options: PodResolverOptions;
  #settings: ResolverSettings;
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  constructor(options: PodResolverOptions) {
    this.#options = options;
    this.#settings = { nameservers: [], searchDomains: kubeletSearchDomains(options) };
  }

  /** What was read last; one that is older than RESOLV_CONF_MAX_AGE_MS is read again meanwhile. */
  get settings(): ResolverSettings {
    if (this.#options.now() - this.#readAt > RESOLV_CONF_MAX_AGE_MS) void this.refresh();
    return this.#settings;
  }

  /** Reads the files now; never rejects. */
  refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    const { locate, now } = this.#options;
    const file = await locate();
    const own = file === undefined ? undefined : await readSettings(file);
    const usable = own !== undefined && own.nameservers.length > 0;
    const settings = usable ? own : await readSettings(OWN_RESOLV_CONF);
    this.#readAt = now();
    if (settings === undefined) return;
    const searchDomains = usable ? own.searchDomains : kubeletSearchDomains(this.#options);
    this.#settings = { nameservers: settings.nameservers, searchDomains };
  }
}

/**
 * Undefined where it cannot be read. The pod may have put anything at this path: what is no plain
 * file is not opened for reading, so that nobody waits for a pipe, and not more is read than a
 * resolv.conf has.
 */
async function readSettings(file: string): Promise<ResolverSettings | undefined> {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_NOCTTY } = constants;
  const noFollow = file === OWN_RESOLV_CONF ? 0 : O_NOFOLLOW;
  try {
    await using handle = await open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | noFollow);
    const stat = await handle.stat();
    if (!stat.isFile() || stat.size > RESOLV_CONF_BYTES) return undefined;
    const buffer = Buffer.alloc(RESOLV_CONF_BYTES);
    const { bytesRead } = await handle.read(buffer, 0, RESOLV_CONF_BYTES, 0);
    return parseResolvConf(buffer.toString("latin1", 0, bytesRead));
  } catch {
    return undefined; // The caller says what is taken in its place.
  }
}

/** `<namespace>.svc.<domain> svc.<domain> <domain>`: Kubernetes' dnsPolicy ClusterFirst. */
function kubeletSearchDomains({ namespace, clusterDomain }: PodResolverOptions) {
  const domains = [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
  return domains.flatMap(domainLabels);
}

/**
 * Whom to ask, in order: the server that the client asked, then the pod's other name servers, if
 * the first is one of them. A server that the client has chosen by itself is the only one that it
 * wants to hear. Without a known choice, all of the pod's.
 */
export function serversFor(
  asked: IpAddress | undefined,
  nameservers: readonly IpAddress[],
): readonly IpAddress[] {
  if (asked === undefined) return nameservers;
  if (!nameservers.includes(asked)) return [asked];
  return [asked, ...nameservers.filter((ip) => ip !== asked)];
}
