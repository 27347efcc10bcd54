/** Objects of the mesh that several tests on Kubernetes apply. */

export function spiffe(namespace: string, serviceAccount: string): string {
  return `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`;
}

export function strictMtls(namespace: string): string {
  return `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: ${namespace}}
spec: {mtls: {mode: STRICT}}`;
}

/** Lets one service account in and nobody else. */
export function allowOnly(namespace: string, app: string, serviceAccount: string): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow-one, namespace: ${namespace}}
spec:
  selector: {matchLabels: {app: ${app}}}
  action: ALLOW
  rules:
  - from: [{source: {principals: ["cluster.local/ns/${namespace}/sa/${serviceAccount}"]}}]`;
}

export function waypoint(namespace: string): string {
  return `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: waypoint
  namespace: ${namespace}
  labels: {istio.io/waypoint-for: service}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]`;
}

/** `weights`: the services that get the requests for `service`, by their share. */
export function splitRoute(
  namespace: string,
  service: string,
  weights: Readonly<Record<string, number>>,
): string {
  const backends = Object.entries(weights).map(
    ([name, weight]) => `{name: ${name}, port: 80, weight: ${weight}}`,
  );
  return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${service}-split, namespace: ${namespace}}
spec:
  parentRefs: [{group: "", kind: Service, name: ${service}, port: 80}]
  rules:
  - backendRefs: [${backends.join(", ")}]`;
}
