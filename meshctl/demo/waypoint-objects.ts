/** What the chapters about waypoints put into the folder. */

/**
 * A second version of the catalog whose /flaky fails every other time, and a collector of traces.
 */
export const SECOND_CATALOG = `apiVersion: v1
kind: ConfigMap
metadata:
  name: catalog-v2
  namespace: catalog
data:
  server.js: |
    const http = require("node:http");
    let calls = 0;
    http.createServer((request, response) => {
      const fails = request.url.startsWith("/flaky") && ++calls % 2 === 1;
      response.writeHead(fails ? 503 : 200).end(fails ? "catalog v2 is tired" : "goods=[samovar]");
    }).listen(8080, "::");
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: catalog-v2
  namespace: catalog
spec:
  selector: { matchLabels: { app: catalog-v2 } }
  template:
    metadata: { labels: { app: catalog-v2, version: v2 } }
    spec:
      containers:
        - name: catalog
          image: node:26-alpine
          command: ["node", "/app/server.js"]
          readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1 }
          volumeMounts: [{ name: app, mountPath: /app }]
      volumes: [{ name: app, configMap: { name: catalog-v2 } }]
---
apiVersion: v1
kind: Service
metadata: { name: catalog-v1, namespace: catalog }
spec: { selector: { app: catalog }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: catalog-v2, namespace: catalog }
spec: { selector: { app: catalog-v2 }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
`;

/** A canary; and, on top of it, tries after failures. */
export function splitRoute(retry: boolean): string {
  const again = retry ? "\n      retry: { attempts: 2, codes: [503], backoff: 5ms }" : "";
  return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: canary
  namespace: catalog
spec:
  parentRefs: [{ group: "", kind: Service, name: catalog, port: 80 }]
  rules:
    - matches: [{ path: { value: /flaky } }]
      backendRefs: [{ name: catalog-v2, port: 80 }]${again}
    - backendRefs:
        - { name: catalog-v1, port: 80, weight: 90 }
        - { name: catalog-v2, port: 80, weight: 10 }
`;
}

/** `jwks`: the key set of the issuer. */
export function tokensNeeded(jwks: string): string {
  return `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata:
  name: tokens
  namespace: catalog
spec:
  targetRefs: [{ group: "", kind: Service, name: catalog }]
  jwtRules:
    - issuer: https://issuer.example
      jwks: '${jwks}'
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: admins-only
  namespace: catalog
spec:
  targetRefs: [{ group: "", kind: Service, name: catalog }]
  action: DENY
  rules:
    - to: [{ operation: { paths: ["/admin*"] } }]
      from: [{ source: { notRequestPrincipals: ["https://issuer.example/alice"] } }]
`;
}

export const RATE_LIMIT = `apiVersion: ambientmesh.dev/v1alpha1
kind: RateLimitPolicy
metadata:
  name: ten-an-hour
  namespace: catalog
spec:
  targetRefs: [{ group: "", kind: Service, name: catalog }]
  limits:
    - matches: [{ pathPrefix: /search }]
      keys: [{ type: Identity }]
      local: { requests: 10, per: 1h }
`;

/** A collector, outside the mesh, that prints what it can read of spans; and who sends it some. */
export const TRACING = `apiVersion: v1
kind: Namespace
metadata:
  name: observe
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: collector
  namespace: observe
data:
  collector.js: |
    const http = require("node:http");
    http.createServer((request, response) => {
      const chunks = [];
      request.on("data", (chunk) => chunks.push(chunk)).on("end", () => {
        const words = Buffer.concat(chunks).toString("latin1").match(/[\\x20-\\x7e]{4,}/g) ?? [];
        console.log("span", words.join(" "));
        response.end();
      });
    }).listen(4318, "::");
---
apiVersion: v1
kind: Pod
metadata:
  name: collector
  namespace: observe
  labels: { app: collector }
spec:
  containers:
    - name: collector
      image: node:26-alpine
      command: ["node", "/app/collector.js"]
      volumeMounts: [{ name: app, mountPath: /app }]
  volumes: [{ name: app, configMap: { name: collector } }]
---
apiVersion: v1
kind: Service
metadata: { name: traces, namespace: observe }
spec: { selector: { app: collector }, ports: [{ name: http, port: 4318 }] }
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: istio
  namespace: istio-system
data:
  mesh: |
    extensionProviders:
    - name: traces
      opentelemetry:
        service: traces.observe.svc.cluster.local
        port: 4318
        http: { path: /v1/traces }
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata:
  name: traces
  namespace: istio-system
spec:
  tracing:
    - providers: [{ name: traces }]
      randomSamplingPercentage: 100
`;
