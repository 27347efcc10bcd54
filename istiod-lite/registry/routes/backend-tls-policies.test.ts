/** BackendTLSPolicies: how a waypoint meets a service, and what is said of the policy. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type AncestorStatus,
  type KubernetesObject,
  objectKey,
} from "#common/kubernetes/objects.ts";
import type { ServiceFacts } from "../waypoints/contributions.ts";
import { BackendTlsPolicies } from "./backend-tls-policies.ts";
import { TRUST_NOBODY } from "./ca-certificates.ts";
import { RouteFixture, service, valid } from "./route-test-mesh.ts";

type Json = Readonly<Record<string, unknown>>;

const PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const ports = [
  { port: 443, name: "https", protocol: "auto" },
  { port: 8443, name: "admin", protocol: "auto" },
] as const;
const web = service("shop", "web", ports);
const target = { group: "", kind: "Service", name: "web" };
const system = { wellKnownCACertificates: "System" };
const byConfigMap = (...names: string[]) => ({
  caCertificateRefs: names.map((name) => ({ group: "", kind: "ConfigMap", name })),
});

function policy(validation: Json, metadata: Json = {}, targetRefs: readonly Json[] = [target]) {
  return valid("BackendTLSPolicy", {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "BackendTLSPolicy",
    metadata: { name: "p", namespace: "shop", generation: 1, ...metadata },
    spec: { targetRefs, validation: { hostname: "web.example", ...validation } },
  });
}

function configMap(name: string, data: Json) {
  return valid("ConfigMap", {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "shop" },
    data,
  });
}

class Fixture {
  readonly policies = new BackendTlsPolicies();
  readonly mesh: RouteFixture;

  constructor(...services: readonly ServiceFacts[]) {
    this.mesh = new RouteFixture(...services);
  }

  set(object: KubernetesObject) {
    const change = { key: objectKey(object), kind: object.kind, object };
    return this.policies.apply(change, this.mesh.mesh);
  }

  delete(object: KubernetesObject) {
    return this.policies.apply({ key: objectKey(object), kind: object.kind }, this.mesh.mesh);
  }

  /** Per policy, target and condition. */
  said(): string[] {
    return this.policies
      .takeStatuses(this.mesh.mesh)
      .flatMap(({ name, fields }) =>
        ((fields?.ancestors ?? []) as readonly AncestorStatus[]).flatMap(({ conditions = [] }) =>
          conditions.map(({ type, status, reason }) => `${name} ${type}=${status}/${reason}`),
        ),
      );
  }
}

const affected = new Set([`shop/${web.hostname}`]);
const tls = { mode: "simple", sni: "web.example", subjectAltNames: [], insecureSkipVerify: false };

describe("a service", () => {
  test("without a policy is met as it is", () => {
    assert.equal(new Fixture(web).policies.backendOf(web), undefined);
  });

  test("is met by TLS, the system's roots trusted", () => {
    const fixture = new Fixture(web);
    assert.deepEqual(fixture.set(policy(system)), affected);
    assert.deepEqual(fixture.policies.backendOf(web), { policy: { tls } });
    assert.deepEqual(fixture.said(), [
      "p Accepted=True/Accepted",
      "p ResolvedRefs=True/ResolvedRefs",
    ]);
    assert.deepEqual(fixture.delete(policy(system)), affected);
    assert.equal(fixture.policies.backendOf(web), undefined);
  });

  test("has to have one of the names", () => {
    const subjectAltNames = [
      { type: "Hostname", hostname: "a.example" },
      { type: "URI", uri: "spiffe://cluster.local/ns/a/sa/b" },
    ];
    const fixture = new Fixture(web);
    fixture.set(policy({ ...system, subjectAltNames }));
    const names = fixture.policies.backendOf(web)?.policy?.tls?.subjectAltNames;
    assert.deepEqual(names, ["a.example", "spiffe://cluster.local/ns/a/sa/b"]);
  });

  test("may have a policy for one of its ports", () => {
    const fixture = new Fixture(web);
    fixture.set(policy(system, {}, [{ ...target, sectionName: "admin" }]));
    assert.deepEqual(fixture.policies.backendOf(web), { portPolicies: { 8443: { tls } } });
  });

  test("of another namespace is none of the policy's", () => {
    const fixture = new Fixture(web, service("other", "web", ports));
    fixture.set(policy(system));
    assert.equal(fixture.policies.backendOf(service("other", "web", ports)), undefined);
  });

  test("follows the oldest of several policies, and then the next", () => {
    const fixture = new Fixture(web);
    const at = (name: string, creationTimestamp: string) =>
      policy({ ...system, hostname: `${name}.example` }, { name, creationTimestamp });
    const old = at("z", "2026-01-01T00:00:00Z");
    fixture.set(at("a", "2026-01-01T00:00:01Z"));
    fixture.said();
    fixture.set(old);
    assert.equal(fixture.policies.backendOf(web)?.policy?.tls?.sni, "z.example");
    assert.deepEqual(
      fixture.said().filter((text) => text.includes("Accepted=")),
      ["a Accepted=False/Conflicted", "z Accepted=True/Accepted"],
    );
    fixture.delete(old);
    assert.equal(fixture.policies.backendOf(web)?.policy?.tls?.sni, "a.example");
    assert.ok(fixture.said().includes("a Accepted=True/Accepted"));
  });
});

test("a policy that is made anew is a younger one, and concerns its targets", () => {
  const fixture = new Fixture(web);
  const at = (creationTimestamp: string) => policy(system, { creationTimestamp });
  fixture.set(at("2026-01-01T00:00:00Z"));
  assert.equal(fixture.set(at("2026-01-01T00:00:00Z")), "none");
  assert.deepEqual(fixture.set(at("2026-01-01T00:00:01Z")), affected);
});

describe("certificates", () => {
  const trusted = (fixture: Fixture) =>
    fixture.policies.backendOf(web)?.policy?.tls?.caCertificates;

  test("come from ConfigMaps, and follow them", () => {
    const fixture = new Fixture(web);
    fixture.set(configMap("ca", { "ca.crt": PEM }));
    fixture.set(policy(byConfigMap("ca")));
    assert.equal(trusted(fixture), PEM);
    assert.deepEqual(fixture.set(configMap("ca", { "ca.crt": PEM + PEM })), affected);
    assert.equal(trusted(fixture), PEM + PEM);
    assert.equal(fixture.set(configMap("ca", { "ca.crt": PEM + PEM, other: "x" })), "none");
    assert.equal(fixture.set(configMap("unrelated", { "ca.crt": PEM })), "none");
  });

  const bad: [string, Json | undefined][] = [
    ["there is no ConfigMap", undefined],
    ["the ConfigMap has no ca.crt", { cert: PEM }],
    ["ca.crt is empty", { "ca.crt": "" }],
    ["ca.crt holds no certificate", { "ca.crt": "hello" }],
  ];
  for (const [name, data] of bad) {
    test(`nobody is trusted when ${name}, and the status says so`, () => {
      const fixture = new Fixture(web);
      if (data !== undefined) fixture.set(configMap("ca", data));
      fixture.set(policy(byConfigMap("ca")));
      assert.equal(trusted(fixture), TRUST_NOBODY);
      assert.notEqual(TRUST_NOBODY, "");
      assert.deepEqual(fixture.said(), [
        "p Accepted=False/NoValidCACertificate",
        "p ResolvedRefs=False/InvalidCACertificateRef",
      ]);
      fixture.set(configMap("ca", { "ca.crt": PEM }));
      assert.equal(trusted(fixture), PEM);
      assert.deepEqual(fixture.said()[0], "p Accepted=True/Accepted");
      fixture.delete(configMap("ca", {}));
      assert.equal(trusted(fixture), TRUST_NOBODY);
    });
  }

  test("of another kind trust nobody; one good one of several is used", () => {
    const secret = { group: "", kind: "Secret", name: "ca" };
    const fixture = new Fixture(web);
    fixture.set(policy({ caCertificateRefs: [secret] }));
    assert.equal(trusted(fixture), TRUST_NOBODY);
    assert.ok(fixture.said().includes("p ResolvedRefs=False/InvalidKind"));
    fixture.set(configMap("ca", { "ca.crt": PEM }));
    fixture.set(policy({ caCertificateRefs: [secret, { ...secret, kind: "ConfigMap" }] }));
    assert.equal(trusted(fixture), PEM);
    assert.deepEqual(fixture.said(), [
      "p Accepted=True/Accepted",
      "p ResolvedRefs=False/InvalidKind",
    ]);
  });

  test("of an unknown set trust nobody", () => {
    const fixture = new Fixture(web);
    fixture.set(policy({ wellKnownCACertificates: "example.com/mine" }));
    assert.equal(trusted(fixture), TRUST_NOBODY);
    assert.ok(fixture.said().includes("p Accepted=False/Invalid"));
  });
});

describe("the status of a policy", () => {
  test("names targets and ports that are not there, until they are", () => {
    const fixture = new Fixture();
    fixture.set(policy(system, {}, [{ ...target, sectionName: "x" }]));
    assert.ok(fixture.said().includes("p Accepted=False/TargetNotFound"));
    fixture.mesh.setService(web);
    fixture.policies.apply({ key: "Service/shop/web", kind: "Service" }, fixture.mesh.mesh);
    assert.deepEqual(fixture.said(), [
      "p Accepted=False/TargetNotFound",
      "p ResolvedRefs=True/ResolvedRefs",
    ]);
    fixture.set(policy(system));
    assert.ok(fixture.said().includes("p Accepted=True/Accepted"));
  });

  test("is none where no target is ours, and is not written twice", () => {
    const fixture = new Fixture(web);
    fixture.set(policy(system, {}, [{ group: "example.com", kind: "Bucket", name: "b" }]));
    assert.deepEqual(fixture.said(), []);
    fixture.set(policy(system));
    assert.equal(fixture.said().length, 2);
    assert.equal(fixture.set(policy(system)), "none");
    assert.deepEqual(fixture.said(), []);
  });
});
