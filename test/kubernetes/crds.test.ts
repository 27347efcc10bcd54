/** Our CRDs beside those of Istio itself: the same kinds, and no field fewer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gateway, gatewayClass } from "#common/kubernetes/validate/gateway.ts";
import { backendTlsPolicy } from "#common/kubernetes/validate/routes/backend-tls-policy.ts";
import { grpcRoute } from "#common/kubernetes/validate/routes/grpc-route.ts";
import { httpRoute } from "#common/kubernetes/validate/routes/http-route.ts";
import { tcpRoute, tlsRoute } from "#common/kubernetes/validate/routes/l4-routes.ts";
import { referenceGrant } from "#common/kubernetes/validate/routes/reference-grant.ts";
import { crdFiles, SERVED_KINDS } from "../../tools/crds/crds.ts";
import { fieldPaths, schemaPaths } from "../../tools/crds/field-paths.ts";
import { generateCrd } from "../../tools/crds/generate.ts";
import type { OpenApi } from "../../tools/crds/note.ts";
import { startKubernetes } from "./harness/cluster.ts";
import { gatewayApiCrds, istioCrds, type OfficialCrd } from "./harness/official-crds.ts";

/** Fields that this version of Istio's CRDs does not have: what the API had, or will have. */
const OURS_ALONE = [
  /\.fault\.abort\.percent$/,
  /\.loadBalancer\.(zoneAware$|backendUtilization)/,
  /\.jwtRules\[\]\.presence$/,
];

const GATEWAY_KINDS = [
  ...[gateway, gatewayClass, httpRoute, grpcRoute, tlsRoute, tcpRoute],
  ...[referenceGrant, backendTlsPolicy],
];

const ISTIO_KINDS = SERVED_KINDS.filter(([{ group }]) => group.endsWith(".istio.io"));

function identity(crd: OfficialCrd): unknown {
  const { group, names, versions } = crd.spec;
  const stored = versions.map(({ name, storage }) => `${name} ${storage}`).sort();
  return { name: crd.metadata.name, group, names, stored };
}

test("kinds, names and versions are Istio's, and each of its fields is kept", async () => {
  const official = await istioCrds();
  for (const [definition, notes] of ISTIO_KINDS) {
    const ours = generateCrd(definition, notes);
    const theirs = official.find(({ spec }) => spec.names.kind === definition.kind);
    assert.ok(theirs, definition.kind);
    assert.deepEqual(identity(ours as unknown as OfficialCrd), identity(theirs));
    const kept = schemaPaths(ours);
    const known = schemaPaths(theirs as unknown as OpenApi);
    assert.deepEqual(
      [...known].filter((path) => !kept.has(path)),
      [],
      definition.kind,
    );
    const more = [...kept].filter((path) => !known.has(path));
    const unexpected = more.filter((path) => !OURS_ALONE.some((allowed) => allowed.test(path)));
    assert.deepEqual(unexpected, [], definition.kind);
  }
});

/** Fields of the CRD that a validator refuses as unknown; what it leaves open it takes. */
function refusedFields(official: OfficialCrd, known: ReadonlySet<string>): string[] {
  const theirs = [...schemaPaths(official as unknown as OpenApi)];
  const open = [...known].filter((path) => ![...known].some((other) => isBelow(other, path)));
  return theirs.filter((path) => !known.has(path) && !open.some((each) => isBelow(path, each)));
}

function isBelow(path: string, parent: string): boolean {
  return path.startsWith(parent) && /^(\.|\[|\{)/.test(path.slice(parent.length));
}

test("no field of the Gateway API's standard channel is unknown to the validators", async () => {
  const official = await gatewayApiCrds();
  for (const definition of GATEWAY_KINDS) {
    const theirs = official.find(({ spec }) => spec.names.kind === definition.kind);
    assert.ok(theirs, definition.kind);
    assert.deepEqual(refusedFields(theirs, fieldPaths(definition)), [], definition.kind);
  }
});

test("an API server takes them, and Istio's can take their place and give it back", async () => {
  await using cluster = await startKubernetes();
  const ours = [...crdFiles()].flatMap(([name, text]) => (name.includes(".io") ? [text] : []));
  const theirs = (await istioCrds()).filter(({ spec }) =>
    ISTIO_KINDS.some(([{ kind }]) => kind === spec.names.kind),
  );
  const policy = {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "kept", namespace: "default" },
    spec: { rules: [{ to: [{ operation: { ports: ["80"] } }] }] },
  };
  await cluster.apply(...ours);
  await cluster.check(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
  await cluster.apply(policy);
  for (const crds of [theirs, ours]) {
    await cluster.apply(...crds);
    const list = await cluster.check(["get", "ap,pa,ra,telemetry,se,we,vs,dr", "-A", "-o", "name"]);
    assert.match(list, /authorizationpolicy\.security\.istio\.io\/kept/);
  }
  const header = await cluster.check(["get", "ap"]);
  assert.match(header, /NAME +ACTION +TARGET +ZTUNNEL +WAYPOINT +AGE/);
});
