/**
 * `meshctl ztunnel-config`: what a ztunnel knows and does, in the tables and with the options of
 * `istioctl ztunnel-config`; from a running cluster, or from a config dump in a file.
 */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { type Command, Option } from "commander";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import {
  type ClusterOption,
  withCluster,
  withClusterOption,
} from "#meshctl/cluster-access/connect.ts";
import { parseDump, type ZtunnelDump } from "#meshctl/ztunnel-config/dump.ts";
import { addLog } from "#meshctl/ztunnel-config/log.ts";
import {
  type AdminPortOption,
  formatOutput,
  type OutputFormat,
  withAdminPort,
  withOutput,
} from "#meshctl/ztunnel-config/options.ts";
import {
  type Direction,
  selectByNamespace,
  selectStates,
  selectWorkloads,
} from "#meshctl/ztunnel-config/select.ts";
import {
  allTables,
  certificateTable,
  connectionTable,
  policyTable,
  serviceTable,
  workloadTable,
} from "#meshctl/ztunnel-config/tables.ts";
import { resolveTarget, type Target, type TargetOptions } from "#meshctl/ztunnel-config/target.ts";

interface DumpOptions extends ClusterOption, TargetOptions, AdminPortOption {
  readonly output: OutputFormat;
  readonly file?: string;
}

interface KindOptions extends DumpOptions {
  readonly workloadNamespace?: string;
  readonly workloadNode?: string;
  readonly address?: string;
  readonly serviceNamespace?: string;
  readonly policyNamespace?: string;
  readonly direction?: Direction;
  readonly raw?: boolean;
  readonly withHeaders?: boolean;
}

interface Shown {
  readonly value: unknown;
  readonly table: () => string;
}

interface Kind {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly description: string;
  readonly options: readonly Option[];
  /** All ztunnels know the same: any one will do where none is named. */
  readonly anyOne: boolean;
  readonly show: (dump: ZtunnelDump, options: KindOptions, pod: Target["pod"]) => Shown;
}

const WORKLOAD_NAMESPACE = new Option("--workload-namespace <namespace>", "only of this namespace");

const KINDS: readonly Kind[] = [
  {
    name: "all",
    aliases: [],
    description: "Everything that a ztunnel knows.",
    options: [new Option("--with-headers", "a title over each table")],
    anyOne: true,
    show: (dump, { withHeaders = false }) => ({
      value: dump.whole,
      table: () => allTables(dump, withHeaders, new Date()),
    }),
  },
  {
    name: "workload",
    aliases: ["workloads", "w"],
    description: "The workloads of the mesh, and how each is reached.",
    options: [
      WORKLOAD_NAMESPACE,
      new Option("--workload-node <node>", "only on this node"),
      new Option("--address <ip>", "only with this address"),
    ],
    anyOne: true,
    show: (dump, { workloadNamespace, workloadNode, address }, pod) => {
      const where = { namespace: workloadNamespace, node: workloadNode, address };
      const value = selectWorkloads(dump.workloads, { ...where, ...pod });
      return { value, table: () => workloadTable(dump, value) };
    },
  },
  {
    name: "service",
    aliases: ["services", "svc", "s"],
    description: "The services, with how many of their endpoints are healthy.",
    options: [new Option("--service-namespace <namespace>", "only of this namespace")],
    anyOne: true,
    show: (dump, { serviceNamespace }) => {
      const value = selectByNamespace(dump.services, serviceNamespace);
      return { value, table: () => serviceTable(dump, value) };
    },
  },
  {
    name: "policy",
    aliases: ["policies", "pol", "p"],
    description: "The policies.",
    options: [new Option("--policy-namespace <namespace>", "only of this namespace")],
    anyOne: true,
    show: (dump, { policyNamespace }) => {
      const value = selectByNamespace(dump.policies, policyNamespace);
      return { value, table: () => policyTable(value) };
    },
  },
  {
    name: "certificate",
    aliases: ["certificates", "certs", "cert"],
    description: "The certificates of the identities on the ztunnel's node.",
    options: [],
    anyOne: false,
    show: ({ certificates }) => ({
      value: certificates,
      table: () => certificateTable(certificates, new Date()),
    }),
  },
  {
    name: "connections",
    aliases: ["connection", "cons"],
    description: "The connections that a ztunnel carries now.",
    options: [
      WORKLOAD_NAMESPACE,
      new Option("--direction <direction>", "only those").choices(["inbound", "outbound"]),
      new Option("--raw", "addresses, not the names of whom they belong to"),
    ],
    anyOne: false,
    show: (dump, { workloadNamespace: namespace, direction, raw = false }, pod) => {
      const value = selectStates(dump.workloadStates, { namespace, direction, ...pod });
      return { value, table: () => connectionTable(dump, value, raw) };
    },
  },
];

export function addZtunnelConfig(program: Command): void {
  const parent = program
    .command("ztunnel-config")
    .alias("zc")
    .description("What a ztunnel knows and does: the tables of istioctl ztunnel-config.");
  for (const kind of KINDS) addKind(parent, kind);
  addLog(parent);
}

function addKind(parent: Command, kind: Kind): void {
  const command = withAdminPort(withOutput(withClusterOption(parent.command(kind.name))))
    .aliases(kind.aliases)
    .description(kind.description)
    .argument("[ztunnel]", "its pod, its node, or a pod that it carries: NAME[.NAMESPACE]")
    .option("-f, --file <file>", "from a config dump in a file; - for standard input")
    .option("--node <node>", "of the ztunnel on this node")
    .option("-n, --namespace <namespace>", "of the pod that is named");
  for (const option of kind.options) command.addOption(option);
  command.action((reference: string | undefined, options: KindOptions) =>
    showKind(kind, reference, options),
  );
}

async function showKind(
  kind: Kind,
  reference: string | undefined,
  options: KindOptions,
): Promise<void> {
  const { file, node } = options;
  if ([file, node, reference].filter((given) => given !== undefined).length > 1) {
    throw new MeshError("CONFLICTING_OPTIONS", "--file, --node and a name exclude each other", {
      hint: "give one of them",
    });
  }
  const print = (dump: ZtunnelDump, pod: Target["pod"]) => {
    const { value, table } = kind.show(dump, options, pod);
    process.stdout.write(formatOutput(options.output, value, table));
  };
  if (file !== undefined) return print(await fromFile(file), undefined);
  await withCluster(options, async (cluster) => {
    const { ztunnel, pod } = await resolveTarget(cluster, reference, options, kind.anyOne);
    const asked = { method: "GET", path: "/config_dump", port: options.proxyAdminPort } as const;
    const body = await cluster.askZtunnel(ztunnel, asked);
    print(parseDump(body, `the config dump of ${ztunnel.name}`), pod);
  });
}

async function fromFile(file: string): Promise<ZtunnelDump> {
  if (file === "-") return parseDump(await text(process.stdin), "standard input");
  const content = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new MeshError("NO_DUMP", `${file} cannot be read: ${describeError(cause)}`);
  });
  return parseDump(content, file);
}
