/**
 * How a proxy introduces itself to istiod. Source: ambient.md 2.5; istiod parses the four `~`
 * parts.
 */
import { VERSION } from "#common/runtime/version.ts";
import type { DiscoveryNode } from "./discovery-rpc.ts";

export interface NodeIdentityOptions {
  readonly ip: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly nodeName: string;
  readonly clusterId: string;
  readonly network: string;
  /** `ISTIO_META_<KEY>` adds text, `ISTIO_METAJSON_<KEY>` adds parsed JSON to the metadata. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

type Metadata = DiscoveryNode["metadata"];
type MetadataValue = Metadata[string];

const TEXT_PREFIX = "ISTIO_META_";
const JSON_PREFIX = "ISTIO_METAJSON_";

export function ztunnelNode(options: NodeIdentityOptions): DiscoveryNode {
  return proxyNode("ztunnel", options);
}

export function waypointNode(options: NodeIdentityOptions): DiscoveryNode {
  return proxyNode("waypoint", options);
}

function proxyNode(type: string, options: NodeIdentityOptions): DiscoveryNode {
  const { ip, podName, podNamespace } = options;
  return {
    id: `${type}~${ip}~${podName}.${podNamespace}~${podNamespace}.svc.cluster.local`,
    cluster: "",
    metadata: {
      ISTIO_VERSION: VERSION,
      ...environmentMetadata(options.env ?? {}),
      NAME: podName,
      NAMESPACE: podNamespace,
      INSTANCE_IPS: ip,
      NODE_NAME: options.nodeName,
      CLUSTER_ID: options.clusterId,
      NETWORK: options.network,
    },
  };
}

function environmentMetadata(env: Readonly<Record<string, string | undefined>>): Metadata {
  const metadata: Metadata = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue;
    if (name.startsWith(TEXT_PREFIX)) metadata[name.slice(TEXT_PREFIX.length)] = value;
    if (name.startsWith(JSON_PREFIX)) metadata[name.slice(JSON_PREFIX.length)] = parse(value);
  }
  return metadata;
}

/** What is no JSON is passed on as the text that it is. */
function parse(value: string): MetadataValue {
  try {
    return JSON.parse(value) as MetadataValue;
  } catch {
    return value;
  }
}
