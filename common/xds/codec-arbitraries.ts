/** Generators of model values for the property tests of the codecs. */
import fc from "fast-check";
import type { GatewayAddress } from "#common/model/address.ts";
import type { Authorization, Match, StringMatch } from "#common/model/authorization.ts";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { type Cidr, type IpAddress, ipFromBytes, ipToBytes } from "#common/model/ip.ts";
import type { LoadBalancing, Service, ServicePort } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import {
  APP_PROTOCOLS,
  HEALTH_POLICIES,
  IP_FAMILIES,
  LOAD_BALANCING_MODES,
  NETWORK_MODES,
  ROUTING_SCOPES,
  TUNNEL_PROTOCOLS,
  VISIBILITIES,
  WORKLOAD_STATUSES,
  WORKLOAD_TYPES,
} from "./workload-enums.ts";

/** Plain objects, as the decoders make them: fast-check's own default mixes in null prototypes. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

const text = fc.string({ maxLength: 12 });
const name = fc.string({ minLength: 1, maxLength: 12 });
const port = fc.nat(65535);

/** Decoders leave absent fields out rather than setting them to undefined. */
function withoutUndefined<T extends object>(value: T): T {
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(entries) as T;
}

export const ipArbitrary: fc.Arbitrary<IpAddress> = fc
  .oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  )
  .map((bytes) => ipFromBytes(bytes) as IpAddress);

const cidr: fc.Arbitrary<Cidr> = fc.tuple(ipArbitrary, fc.nat(128)).map(([ip, length]) => {
  const bytes = Uint8Array.from(ipToBytes(ip));
  return { bytes, length: length % (bytes.length * 8 + 1) };
});

const gateway: fc.Arbitrary<GatewayAddress> = fc.oneof(
  record({
    kind: fc.constant("hostname" as const),
    name: record({ namespace: text, hostname: text }),
    hboneMtlsPort: fc.integer({ min: 1, max: 65535 }),
  }),
  record({
    kind: fc.constant("address" as const),
    address: record({ network: text, ip: ipArbitrary }),
    hboneMtlsPort: fc.integer({ min: 1, max: 65535 }),
  }),
);

const loadBalancing: fc.Arbitrary<LoadBalancing> = record({
  routingPreference: fc.array(fc.constantFrom(...ROUTING_SCOPES), { maxLength: 4 }),
  mode: fc.constantFrom(...LOAD_BALANCING_MODES),
  healthPolicy: fc.constantFrom(...HEALTH_POLICIES),
});

const servicePort: fc.Arbitrary<ServicePort> = record({
  servicePort: port,
  targetPort: port,
  appProtocol: fc.constantFrom(...APP_PROTOCOLS),
});

export const workloadArbitrary: fc.Arbitrary<Workload> = fc
  .record(
    {
      uid: name,
      name: text,
      namespace: text,
      addresses: fc.array(ipArbitrary, { maxLength: 3 }),
      hostname: text,
      network: text,
      tunnelProtocol: fc.constantFrom(...TUNNEL_PROTOCOLS),
      trustDomain: name,
      serviceAccount: name,
      waypoint: fc.option(gateway, { nil: undefined }),
      networkGateway: fc.option(gateway, { nil: undefined }),
      node: text,
      canonicalName: text,
      canonicalRevision: text,
      workloadType: fc.constantFrom(...WORKLOAD_TYPES),
      workloadName: text,
      nativeTunnel: fc.boolean(),
      applicationTunnel: fc.option(record({ protocol: fc.constant("proxy" as const), port }), {
        nil: undefined,
      }),
      services: fc
        .array(fc.tuple(text, fc.array(servicePort, { maxLength: 3 })), { maxLength: 3 })
        .map((entries) => new Map(entries)),
      authorizationPolicies: fc.array(text, { maxLength: 3 }),
      status: fc.constantFrom(...WORKLOAD_STATUSES),
      clusterId: name,
      locality: record({ region: text, zone: text, subzone: text }),
      networkMode: fc.constantFrom(...NETWORK_MODES),
      capacity: fc.nat(0xffffffff),
    },
    { noNullPrototype: true },
  )
  .map(withoutUndefined) as fc.Arbitrary<Workload>;

export const serviceArbitrary: fc.Arbitrary<Service> = fc
  .record(
    {
      name: text,
      namespace: name,
      hostname: name,
      addresses: fc.array(
        fc.oneof(
          record({ network: text, ip: ipArbitrary }),
          record({ network: text, cidr }).map((block) => ({
            ...block,
            ip: ipFromBytes(block.cidr.bytes) as IpAddress,
          })),
        ),
        { maxLength: 3 },
      ),
      ports: fc.array(servicePort, { maxLength: 3 }),
      subjectAltNames: fc.array(text, { maxLength: 2 }),
      waypoint: fc.option(gateway, { nil: undefined }),
      weightedWaypoints: fc.array(record({ destination: gateway, weight: fc.nat(100) }), {
        maxLength: 2,
      }),
      loadBalancing: fc.option(loadBalancing, { nil: undefined }),
      ipFamilies: fc.constantFrom(...IP_FAMILIES),
      canonical: fc.boolean(),
      ingressUseWaypoint: fc.boolean(),
      visibility: fc.constantFrom(...VISIBILITIES),
    },
    { noNullPrototype: true },
  )
  .map(withoutUndefined) as fc.Arbitrary<Service>;

const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  record({ kind: fc.constantFrom("exact", "prefix", "suffix"), value: text }),
  fc.constant({ kind: "presence" as const }),
);
const texts = fc.array(stringMatch, { maxLength: 2 });
const accounts = fc.array(record({ namespace: text, serviceAccount: text }), { maxLength: 2 });
const blocks = fc.array(cidr, { maxLength: 2 });
const ports = fc.array(port, { maxLength: 2 });

const match: fc.Arbitrary<Match> = record({
  namespaces: texts,
  notNamespaces: texts,
  principals: texts,
  notPrincipals: texts,
  serviceAccounts: accounts,
  notServiceAccounts: accounts,
  sourceIps: blocks,
  notSourceIps: blocks,
  destinationIps: blocks,
  notDestinationIps: blocks,
  destinationPorts: ports,
  notDestinationPorts: ports,
});

export const authorizationArbitrary: fc.Arbitrary<Authorization> = record({
  name,
  namespace: text,
  scope: fc.constantFrom("global", "namespace", "workload-selector"),
  action: fc.constantFrom("allow", "deny", "audit"),
  rules: fc.array(
    record({
      clauses: fc.array(record({ matches: fc.array(match, { maxLength: 2 }) }), {
        maxLength: 2,
      }),
    }),
    { maxLength: 2 },
  ),
  dryRun: fc.boolean(),
});

export const capturedPodArbitrary: fc.Arbitrary<CapturedPod> = record({
  uid: name,
  name,
  namespace: name,
  serviceAccount: name,
  ips: fc.array(ipArbitrary, { maxLength: 2 }),
  workloadUid: name,
  bypassInboundCapture: fc.boolean(),
  dnsCapture: fc.boolean(),
});
