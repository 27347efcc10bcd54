/**
 * What istioctl unmarshals of a config dump, as strictly as Go does it: a field of another type
 * fails the whole command. Source: istio/istio istioctl/pkg/writer/ztunnel/configdump/api.go,
 * August 2026.
 */
import assert from "node:assert/strict";

/** Throws for the first value that istioctl could not read, with where it is. */
type Check = (value: unknown, at: string) => void;

const primitive =
  (type: "string" | "boolean"): Check =>
  (value, at) =>
    assert.equal(typeof value, type, at);

const text = primitive("string");
const flag = primitive("boolean");

/** An unsigned number of so many bits. */
const unsigned =
  (bits: number): Check =>
  (value, at) => {
    const fits = Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** bits;
    assert.ok(fits, `${at} is ${JSON.stringify(value)}`);
  };

const listOf =
  (item: Check): Check =>
  (value, at) => {
    assert.ok(Array.isArray(value), at);
    for (const [i, element] of value.entries()) item(element, `${at}[${i}]`);
  };

const mapOf =
  (item: Check, key: RegExp = /^/): Check =>
  (value, at) => {
    for (const [name, element] of entriesOf(value, at)) {
      assert.match(name, key, at);
      item(element, `${at}.${name}`);
    }
  };

/** Null is nothing to Go. */
const nullable =
  (item: Check): Check =>
  (value, at) => {
    if (value !== null) item(value, at);
  };

/** Fields that are required are those whose absence a table would show. */
const struct =
  (fields: Readonly<Record<string, Check>>, required: readonly string[] = []): Check =>
  (value, at) => {
    const present = new Map(entriesOf(value, at));
    for (const name of required) assert.ok(present.has(name), `${at}.${name} is missing`);
    for (const [name, check] of Object.entries(fields)) {
      if (present.has(name)) check(present.get(name), `${at}.${name}`);
    }
  };

function entriesOf(value: unknown, at: string): [string, unknown][] {
  assert.ok(typeof value === "object" && value !== null && !Array.isArray(value), at);
  return Object.entries(value);
}

const PORT = /^\d{1,5}$/;
const gateway = struct({ destination: text }, ["destination"]);
const locality = struct({ region: text, zone: text, subzone: text });

const workload = struct(
  {
    ...{ uid: text, workloadIps: listOf(text), protocol: text, name: text, namespace: text },
    ...{ serviceAccount: text, workloadName: text, workloadType: text, canonicalName: text },
    ...{ canonicalRevision: text, clusterId: text, trustDomain: text, node: text, network: text },
    ...{ status: text, hostname: text, capacity: unsigned(32), locality },
    ...{ waypoint: gateway, networkGateway: gateway, authorizationPolicies: listOf(text) },
    applicationTunnel: struct({ protocol: text, port: nullable(unsigned(16)) }),
  },
  ["uid", "workloadIps", "protocol", "name", "namespace", "status", "clusterId"],
);

const endpoint = struct({ workloadUid: text, port: mapOf(unsigned(16), PORT) }, ["workloadUid"]);

const service = struct(
  {
    ...{ name: text, namespace: text, hostname: text, vips: listOf(text) },
    ...{ cidrVips: listOf(struct({ cidr: text, network: text })), ports: mapOf(unsigned(16)) },
    ...{ waypoint: gateway, endpoints: mapOf(endpoint), subjectAltNames: listOf(text) },
    ...{ ipFamilies: text, canonical: flag, visibility: text },
    loadBalancer: struct({ mode: text, routingPreferences: listOf(text), healthPolicy: text }),
  },
  ["name", "namespace", "hostname", "vips", "ports", "endpoints"],
);

const strings = listOf(struct({ Exact: text, Prefix: text, Suffix: text }));
const accounts = listOf(struct({ namespace: text, serviceAccount: text }));
const ports = listOf(unsigned(16));
const match = struct({
  ...{ namespaces: strings, notNamespaces: strings, principals: strings, notPrincipals: strings },
  ...{ sourceIps: listOf(text), notSourceIps: listOf(text), destinationIps: listOf(text) },
  ...{ notDestinationIps: listOf(text), destinationPorts: ports, notDestinationPorts: ports },
  ...{ serviceAccounts: accounts, notServiceAccounts: accounts },
});

const policy = struct(
  {
    ...{ name: text, namespace: text, scope: text, action: text },
    rules: listOf(listOf(listOf(match))),
  },
  ["name", "namespace", "scope", "action", "rules"],
);

const certificate = struct(
  { pem: text, serialNumber: text, validFrom: text, expirationTime: text },
  ["pem", "serialNumber", "validFrom", "expirationTime"],
);

const identity = struct(
  {
    ...{ identity: text, state: text },
    ...{ certChain: listOf(certificate), rootCerts: listOf(certificate) },
  },
  ["identity", "state", "certChain", "rootCerts"],
);

const connection = (original: Check) =>
  struct({ src: text, originalDst: original, actualDst: text, protocol: text }, [
    ...["src", "originalDst", "actualDst", "protocol"],
  ]);

const podState = struct(
  {
    state: text,
    info: struct({ name: text, namespace: text, serviceAccount: text }, ["name", "namespace"]),
    connections: struct(
      { inbound: listOf(connection(nullable(text))), outbound: listOf(connection(text)) },
      ["inbound", "outbound"],
    ),
  },
  ["state", "info"],
);

const dump = struct(
  {
    ...{ workloads: listOf(workload), services: listOf(service), policies: listOf(policy) },
    ...{ certificates: listOf(identity), workloadState: mapOf(podState) },
  },
  ["workloads", "services", "policies", "certificates", "workloadState"],
);

/** Fails the test unless istioctl could read all of it. */
export function assertIstioctlReads(value: unknown): void {
  dump(value, "dump");
}
