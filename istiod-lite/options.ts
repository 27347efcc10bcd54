/** istiod-lite's command line. */
import { existsSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { parseIp } from "#common/model/ip.ts";
import { ISTIOD_DEBUG_PORT, ISTIOD_WEBHOOK_PORT, ISTIOD_XDS_PORT } from "#common/model/ports.ts";
import { VERSION } from "#common/runtime/version.ts";
import { LOG_LEVELS, type LogLevel } from "#common/telemetry/log-levels.ts";

/** Source: Istio's untaint controller, and the chart of its CNI plugin. */
const NODE_TAINT = "cni.istio.io/not-ready";

export interface IstiodOptions {
  /** `folder:PATH`, `kubernetes` (in a pod of the cluster) or `kubernetes:KUBECONFIG`. */
  readonly source: string;
  /** Where statuses are written; by default beside the source. */
  readonly overlay?: string;
  /** Where objects that Gateways want are written; absent: nobody runs them. */
  readonly owned?: string;
  /** Gateways of other revisions are somebody else's. */
  readonly revision: string;
  readonly waypointUnavailable: "fail-open" | "fail-closed";
  readonly enforceWaypoints: boolean;
  readonly outboundTraffic: "allow-any" | "registry-only";
  /** The address of both ports; "::" is every address, IPv4 and IPv6. */
  readonly listen: string;
  readonly xdsPort: number;
  readonly debugPort: number;
  /** Of the validating webhook; undefined: there is none. */
  readonly webhookPort?: number;
  /** Of a folder source: holds the CA, its own root (made at the first start) or another. */
  readonly caDir?: string;
  /** Of a folder source: public keys of service account tokens. */
  readonly tokenJwks?: string;
  readonly clusterId: string;
  readonly trustDomain: string;
  /** Istio's `meshConfig.trustDomainAliases`: policies mean their identities too. */
  readonly trustDomainAliases: readonly string[];
  readonly rootNamespace: string;
  /** Whether proxies are told to use HBONE at all. */
  readonly hbone: boolean;
  /** Whether DNS of captured pods is captured too where no annotation says. */
  readonly dnsCapture: boolean;
  /** What the containers of waypoints run; absent: what this process runs as. */
  readonly waypointImage?: string;
  /** `host:port` where waypoints find this control plane; absent: Istio's default. */
  readonly discoveryAddress?: string;
  /** Of Kubernetes: by which Lease replicas agree on who writes; absent: one per revision. */
  readonly leaderLease?: string;
  /** Of Kubernetes: the taint that nodes lose when their ztunnel is ready; "" for none. */
  readonly nodeTaint: string;
  /** This pod, POD_NAME: who it is to other replicas; absent: the host's name. */
  readonly podName?: string;
  /** Where this control plane runs, POD_NAMESPACE: its Lease, its Secrets, its server's names. */
  readonly podNamespace: string;
  readonly logLevel: LogLevel;
  readonly logFormat: "text" | "json";
}

/** Reads `argv` (without node and program); prints help or errors and exits as commander does. */
export function parseOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): IstiodOptions {
  const command = new Command("istiod-lite")
    .description("The control plane: watches configuration, programs proxies, signs certificates.")
    .version(VERSION)
    .requiredOption("--source <spec>", "folder:PATH, kubernetes or kubernetes:KUBECONFIG")
    .option("--overlay <path>", "where statuses are written (default: beside the source)")
    .option("--listen <address>", "address of both ports", address, defaultListen())
    .option("--xds-port <port>", "xDS and CA, gRPC over TLS", port, ISTIOD_XDS_PORT)
    .option("--debug-port <port>", "metrics, readiness, /debug/*", port, ISTIOD_DEBUG_PORT)
    .option("--webhook-port <port>", "validating webhook, HTTPS", port, defaultWebhookPort(argv))
    .option("--ca-dir <path>", "the CA's files: made there, or plugged in")
    .option("--token-jwks <file>", "public keys (JWKS) of service account tokens")
    .option("--cluster-id <id>", "name of this cluster", "Kubernetes")
    .option("--trust-domain <domain>", "first part of every identity", "cluster.local")
    .addOption(
      new Option(
        "--trust-domain-aliases <domains...>",
        "trust domains whose identities policies take for the mesh's own",
      ).default([]),
    )
    .option("--root-namespace <name>", "where mesh-wide policies live", "istio-system")
    .addOption(new Option("--log-level <level>").choices([...LOG_LEVELS]).default("info"))
    .addOption(new Option("--log-format <format>").choices(["text", "json"]).default("text"));
  addKubernetesOptions(addWaypointOptions(command)).parse(argv, { from: "user" });
  return {
    ...command.opts(),
    ...(env.POD_NAME ? { podName: env.POD_NAME } : {}),
    podNamespace: env.POD_NAMESPACE || command.opts().rootNamespace,
    hbone: env.PILOT_ENABLE_SENDING_HBONE !== "false",
    // Source of the name: istio-cni, whose business this is in Istio.
    dnsCapture: env.AMBIENT_DNS_CAPTURE !== "false",
  };
}

function addWaypointOptions(command: Command): Command {
  return command
    .option("--owned <path>", "where the objects that run waypoints are written")
    .option("--revision <name>", "whose Gateways (label istio.io/rev) are handled", "default")
    .addOption(
      new Option("--waypoint-unavailable <what>", "traffic whose waypoint is not there")
        .choices(["fail-open", "fail-closed"])
        .default("fail-closed"),
    )
    .option("--enforce-waypoints", "destinations refuse what did not pass their waypoint", false)
    .addOption(
      new Option(
        "--outbound-traffic <policy>",
        "whether captured pods reach addresses that no object describes",
      )
        .choices(["allow-any", "registry-only"])
        .default("allow-any"),
    );
}

function addKubernetesOptions(command: Command): Command {
  return command
    .option("--waypoint-image <image>", "what waypoints run (default: this pod's own image)")
    .option("--discovery-address <host:port>", "where waypoints find this control plane")
    .option("--leader-lease <name>", "the Lease by which replicas agree on who writes")
    .option(
      "--node-taint <key>",
      "taken off nodes whose ztunnel is ready; '' for none",
      NODE_TAINT,
    );
}

/** Only an API server calls it: with a folder it is served where a port is named. */
function defaultWebhookPort(argv: readonly string[]): number | undefined {
  const source = argv.find((word, at) => argv[at - 1] === "--source" || /^--source=/.test(word));
  return /^(--source=)?kubernetes/.test(source ?? "") ? ISTIOD_WEBHOOK_PORT : undefined;
}

function port(text: string): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (number <= 65_535) return number;
  throw new InvalidArgumentError("a port is a number from 0 to 65535");
}

function address(text: string): string {
  if (parseIp(text) !== undefined) return text;
  throw new InvalidArgumentError("an address is an IPv4 or IPv6 address");
}

/** Every address. Where the kernel has no IPv6 ("ipv6.disable=1"), every IPv4 address. */
function defaultListen(): string {
  return existsSync("/proc/net/if_inet6") ? "::" : "0.0.0.0";
}
