/** What the tests of telemetry look at: a client and a service under a policy, on two nodes. */
import { namespace, pod, service } from "#test/support/objects.ts";

/**
 * Pods shop/client on node1 and shop/web-0 (service shop/web, policy shop/web) on node2; outside
 * the mesh outside/client on node1 and outside/web on node2.
 */
export const TELEMETRY_OBJECTS = [
  namespace("shop", "ambient"),
  namespace("outside", undefined),
  ...pod({ namespace: "shop", name: "client", node: "node1", labels: { version: "v2" } }),
  ...pod({
    namespace: "shop",
    name: "web-0",
    app: "web",
    node: "node2",
    labels: { version: "v3" },
  }),
  ...pod({ namespace: "outside", name: "client", node: "node1" }),
  ...pod({ namespace: "outside", name: "web", node: "node2" }),
  service({ namespace: "shop", name: "web" }),
  {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "web", namespace: "shop" },
    spec: {
      selector: { matchLabels: { app: "web" } },
      action: "DENY",
      rules: [{ to: [{ operation: { ports: ["9999"] } }] }],
    },
  },
];
