/** What a test reads of a running ztunnel: its `/config_dump`, its process. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Pod } from "#common/kubernetes/objects.ts";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import {
  type ClusterOptions,
  redirectionOf,
  startCluster,
  type TestCluster,
} from "#test/support/cluster.ts";

/** An open connection as `/config_dump` shows it. */
export interface DumpedConnection {
  readonly src: string;
  readonly originalDst: string;
  readonly actualDst: string;
  readonly protocol: "HBONE" | "TCP";
}

export interface DumpedWorkload {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly workloadIps: readonly string[];
  readonly protocol: "HBONE" | "TCP";
  readonly serviceAccount?: string;
  readonly status: string;
  readonly node?: string;
  readonly services?: readonly string[];
  readonly authorizationPolicies?: readonly string[];
}

export interface DumpedService {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly vips: readonly string[];
  readonly ports: Readonly<Record<string, number>>;
  readonly endpoints: Readonly<Record<string, { readonly port: Readonly<Record<string, number>> }>>;
}

export interface DumpedPolicy {
  readonly name: string;
  readonly namespace: string;
  readonly scope: string;
  readonly action: string;
  readonly rules: unknown;
}

export interface DumpedCertificate {
  readonly pem: string;
  readonly serialNumber: string;
  readonly validFrom: string;
  readonly expirationTime: string;
}

/** The parts of `/config_dump` that tests look at. */
export interface ConfigDump {
  readonly workloads: readonly DumpedWorkload[];
  readonly services: readonly DumpedService[];
  readonly policies: readonly DumpedPolicy[];
  readonly certificates: readonly {
    readonly identity: string;
    readonly state: string;
    readonly certChain: readonly DumpedCertificate[];
    readonly rootCerts: readonly DumpedCertificate[];
  }[];
  readonly workloadState: Readonly<
    Record<
      string,
      {
        readonly state: string;
        readonly info: Readonly<Record<string, string>>;
        readonly connections: {
          readonly inbound: readonly DumpedConnection[];
          readonly outbound: readonly DumpedConnection[];
        };
      }
    >
  >;
  readonly version: Readonly<Record<string, unknown>>;
  readonly config: Readonly<Record<string, unknown>>;
}

export async function configDump(cluster: TestCluster, node: string): Promise<ConfigDump> {
  return (await cluster.ztunnel(node).configDump()) as ConfigDump;
}

/** The connections that pass through a ztunnel now, of all its pods. */
export async function openConnections(
  cluster: TestCluster,
  node: string,
): Promise<readonly DumpedConnection[]> {
  const { workloadState } = await configDump(cluster, node);
  return Object.values(workloadState).flatMap(({ connections }) => [
    ...connections.inbound,
    ...connections.outbound,
  ]);
}

/**
 * Waits until a node's ztunnel knows services of these hosts: until then their addresses are
 * nobody's, and connections to them pass as they are.
 */
export async function untilServices(
  cluster: TestCluster,
  node: string,
  ...hostnames: readonly string[]
): Promise<void> {
  await cluster.until(`${node} knows ${hostnames.join(" and ")}`, async () => {
    const { services } = await configDump(cluster, node);
    return hostnames.every((name) => services.some(({ hostname }) => hostname === name));
  });
}

/** What the process takes of the machine. */
export interface ProcessUse {
  readonly rssMb: number;
  readonly descriptors: number;
}

export async function processUse(cluster: TestCluster, node: string): Promise<ProcessUse> {
  const dir = await cluster.ztunnel(node).procDir();
  const status = await readFile(join(dir, "status"), "utf8");
  const [, kilobytes = ""] = /^VmRSS:\s+(\d+) kB/m.exec(status) ?? [];
  return { rssMb: Number(kilobytes) / 1024, descriptors: (await readdir(join(dir, "fd"))).length };
}

/**
 * `startCluster`, and waiting until every ztunnel has heard of every pod what the cluster says of
 * it: that a pod is ready and captured is known here a little earlier than there.
 */
export async function startMesh(options: ClusterOptions): Promise<TestCluster> {
  const cluster = await startCluster(options);
  try {
    await untilSettled(cluster);
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** Waits until what every ztunnel knows of the pods is what the cluster says of them now. */
export async function untilSettled(cluster: TestCluster): Promise<void> {
  const { nodes } = await cluster.client.info();
  await cluster.until("all ztunnels know all pods as they are", async () => {
    const pods = (await cluster.list("Pod")).filter(({ spec }) => spec.hostNetwork !== true);
    const wanted = pods.map(expectedWorkload).sort();
    for (const { name } of nodes) {
      const { workloads } = await configDump(cluster, name);
      const known = workloads.filter(({ uid }) => /\/Pod\//.test(uid)).map(knownWorkload);
      const missing = wanted.filter((workload) => !known.includes(workload));
      if (missing.length > 0) throw new Error(`${name} does not know ${missing.join(", ")}`);
    }
    return true;
  });
}

function expectedWorkload(pod: Pod): string {
  const { name, namespace } = pod.metadata;
  const protocol = redirectionOf(pod) === "enabled" ? "HBONE" : "TCP";
  return [namespace, name, protocol, isReady(pod) ? "Healthy" : "Unhealthy"].join(" ");
}

function knownWorkload({ name, namespace, protocol, status }: DumpedWorkload): string {
  return [namespace, name, protocol, status].join(" ");
}
