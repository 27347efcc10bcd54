/** The mesh of a soak: who calls whom, and who may. */
import { namespace, pod, service } from "#test/support/objects.ts";
import { deny } from "#test/support/policy-objects.ts";

export const PORT = 8080;
export const ECHO_PORT = 7070;
export const NODES = ["node1", "node2"] as const;
export type Node = (typeof NODES)[number];

export const SERVERS = ["shop/web-1", "shop/web-2"] as const;
/** One on each node: requests stay on a node and leave it. */
export const CLIENTS = ["shop/client-1", "shop/client-2"] as const;
/** Never allowed. */
export const STRANGER = "shop/stranger";
/** Allowed and not, in turns. */
export const GUEST = "shop/guest";
/** In the mesh and out of it, in turns; nobody calls it. */
export const SIDE_NAMESPACE = "side";

export const SERVICE = "shop/web";
export const SERVICE_NAME = "web.shop.svc.cluster.local";
/** What each server answers to a connection: its own name. */
export const ANSWER = /^shop\/(web|extra)-\d+$/;

/** Certificates are renewed about every half of this: the shortest that ztunnel takes. */
const CERTIFICATE_TTL = "60s";
/** A ztunnel that was replaced ends with its last connection, long before this. */
const DRAIN_DEADLINE = "300s";

export const ZTUNNEL_ENV = {
  SECRET_TTL: CERTIFICATE_TTL,
  CONNECTION_TERMINATION_DEADLINE: DRAIN_DEADLINE,
} as const;

export const OBJECTS: readonly object[] = [
  namespace("shop", "ambient"),
  namespace(SIDE_NAMESPACE, "ambient"),
  ...pod({ namespace: "shop", name: "web-1", app: "web", node: "node1" }),
  ...pod({ namespace: "shop", name: "web-2", app: "web", node: "node2" }),
  ...pod({ namespace: "shop", name: "client-1", app: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "client-2", app: "client", node: "node2" }),
  ...pod({ namespace: "shop", name: "stranger", node: "node1" }),
  ...pod({ namespace: "shop", name: "guest", node: "node2" }),
  ...pod({ namespace: SIDE_NAMESPACE, name: "bystander", node: "node2" }),
  service({ namespace: "shop", name: "web" }),
  noStrangers(0),
];

/** Refuses the stranger whatever else it says; `round` changes what else it says. */
export function noStrangers(round: number): object {
  return deny(
    [
      { from: [{ source: { serviceAccounts: ["shop/stranger"] } }] },
      { from: [{ source: { namespaces: [`nobody-${round}`] } }] },
    ],
    { name: "no-strangers" },
  );
}

export function noGuests(): object {
  return deny([{ from: [{ source: { serviceAccounts: ["shop/guest"] } }] }], { name: "no-guests" });
}

/** A further server, in its service or not yet. */
export function extraServer(round: number, inService: boolean): readonly object[] {
  return pod({
    namespace: "shop",
    name: `extra-${round}`,
    app: inService ? "web" : "extra",
    serviceAccount: "web",
    node: round % 2 === 0 ? "node1" : "node2",
  });
}
