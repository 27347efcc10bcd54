/**
 * What the plugin passes on of a call: the environment that the runtime gave it, one variable a
 * line, then the configuration from its standard input, then a line that no JSON text can have.
 * Source: the CNI specification 1.1, github.com/containernetworking/cni SPEC.md.
 */
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";

export const END_LINE = "END";
const HEADER_LINES = 5;

export interface CniRequest {
  readonly command: string;
  readonly containerId: string;
  /** As the node sees it; "" where there is none any more (DEL). */
  readonly netnsPath: string;
  readonly ifName: string;
  /** CNI_ARGS: `K8S_POD_NAMESPACE` and the like. */
  readonly args: ReadonlyMap<string, string>;
  readonly cniVersion: string;
  /** What the plugins before this one came to; undefined for DEL and for the first of a chain. */
  readonly prevResult: unknown;
}

/** Whether all of a request is there. */
export function isWholeRequest(text: string): boolean {
  return text.endsWith(`\n${END_LINE}\n`);
}

/** Throws MeshError CNI_REQUEST_INVALID. */
export function parseCniRequest(text: string): CniRequest {
  const lines = text.split("\n");
  const [command = "", containerId = "", netnsPath = "", ifName = "", args = ""] = lines;
  const json = lines.slice(HEADER_LINES, -2).join("\n");
  const config = json.trim() === "" ? {} : parseObject(json);
  const { cniVersion, prevResult } = config;
  return {
    command,
    containerId,
    netnsPath,
    ifName,
    args: new Map(args.split(";").map((pair) => splitAt(pair, "="))),
    cniVersion: typeof cniVersion === "string" ? cniVersion : "1.0.0",
    prevResult,
  };
}

/**
 * The pod's addresses in a result: those of interfaces inside the sandbox, and those that name no
 * interface. Versions 0.3.1 to 1.1 have them in the same place.
 */
export function addressesOf(result: unknown): readonly IpAddress[] {
  const { interfaces, ips } = asObject(result);
  const inSandbox = asArray(interfaces).map((one) => Boolean(asObject(one).sandbox));
  const addresses = asArray(ips).flatMap((one) => {
    const { address, interface: index } = asObject(one);
    if (typeof index === "number" && inSandbox[index] === false) return [];
    const text = typeof address === "string" ? address.split("/")[0] : undefined;
    return (text && parseIp(text)) || [];
  });
  return [...new Set(addresses)];
}

function parseObject(json: string): Record<string, unknown> {
  try {
    return asObject(JSON.parse(json));
  } catch (cause) {
    throw new MeshError("CNI_REQUEST_INVALID", "the network configuration is no JSON", { cause });
  }
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
