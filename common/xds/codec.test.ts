import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { MeshError } from "#common/runtime/errors.ts";
import {
  authorizationArbitrary,
  capturedPodArbitrary,
  serviceArbitrary,
  workloadArbitrary,
} from "./codec-arbitraries.ts";
import { decodeAuthorization } from "./decode-authorization.ts";
import { decodeCapturedPod } from "./decode-captured-pod.ts";
import { decodeAddress } from "./decode-workload.ts";
import { encodeAuthorization } from "./encode-authorization.ts";
import { encodeCapturedPod } from "./encode-captured-pod.ts";
import { encodeAddress } from "./encode-workload.ts";
import * as wire from "./gen/istio/workload_pb.js";

describe("round trips", () => {
  it("gives back every workload", () => {
    fc.assert(
      fc.property(workloadArbitrary, (workload) => {
        const address = { kind: "workload", workload } as const;
        assert.deepEqual(decodeAddress(encodeAddress(address)), address);
      }),
    );
  });

  it("gives back every service", () => {
    fc.assert(
      fc.property(serviceArbitrary, (service) => {
        const address = { kind: "service", service } as const;
        assert.deepEqual(decodeAddress(encodeAddress(address)), address);
      }),
    );
  });

  it("gives back every policy", () => {
    fc.assert(
      fc.property(authorizationArbitrary, (policy) => {
        assert.deepEqual(decodeAuthorization(encodeAuthorization(policy)), policy);
      }),
    );
  });

  it("gives back every captured pod", () => {
    fc.assert(
      fc.property(capturedPodArbitrary, (pod) => {
        assert.deepEqual(decodeCapturedPod(encodeCapturedPod(pod)), pod);
      }),
    );
  });

  it("encodes equal workloads to equal bytes whatever the order of their services", () => {
    fc.assert(
      fc.property(workloadArbitrary, (workload) => {
        const services = new Map([...workload.services].reverse());
        const reversed = { ...workload, services };
        assert.deepEqual(
          encodeAddress({ kind: "workload", workload: reversed }),
          encodeAddress({ kind: "workload", workload }),
        );
      }),
    );
  });
});

describe("fuzz", () => {
  const decoders = { decodeAddress, decodeAuthorization, decodeCapturedPod };
  for (const [name, decode] of Object.entries(decoders)) {
    it(`${name} turns any bytes into a value or a MeshError`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => onlyMeshErrors(decode, bytes)),
        { numRuns: 2000 },
      );
    });
  }

  it("turns damaged policies into a value or a MeshError", () => {
    fc.assert(
      fc.property(authorizationArbitrary, fc.nat(), fc.nat(255), (policy, at, byte) => {
        const bytes = Uint8Array.from(encodeAuthorization(policy));
        bytes[at % bytes.length] = byte;
        onlyMeshErrors(decodeAuthorization, bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it("turns damaged addresses into a value or a MeshError", () => {
    fc.assert(
      fc.property(workloadArbitrary, fc.nat(), fc.nat(255), (workload, at, byte) => {
        const bytes = Uint8Array.from(encodeAddress({ kind: "workload", workload }));
        bytes[at % bytes.length] = byte;
        onlyMeshErrors(decodeAddress, bytes);
      }),
      { numRuns: 2000 },
    );
  });
});

function onlyMeshErrors(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    decode(bytes);
  } catch (error) {
    assert.ok(error instanceof MeshError, String(error));
    assert.equal(error.code, "INVALID_RESOURCE");
  }
}

/** An enum number that the generated types rule out and the wire does not. */
function unknown(number: number): never {
  return number as never;
}

describe("decodeAddress", () => {
  const decodeWorkload = (init: Parameters<typeof create<typeof wire.WorkloadSchema>>[1]) => {
    const value = create(wire.WorkloadSchema, init);
    const message = create(wire.AddressSchema, { type: { case: "workload", value } });
    const address = decodeAddress(toBinary(wire.AddressSchema, message));
    assert.ok(address.kind === "workload");
    return address.workload;
  };

  it("fills in what the wire leaves out", () => {
    const workload = decodeWorkload({ uid: "u" });
    assert.equal(workload.trustDomain, "cluster.local");
    assert.equal(workload.capacity, 1);
    assert.equal(workload.network, "");
    assert.equal(workload.serviceAccount, "default");
    assert.equal(workload.clusterId, "Kubernetes");
    assert.deepEqual(workload.locality, { region: "", zone: "", subzone: "" });
    assert.equal("waypoint" in workload, false);
  });

  it("keeps a weight of zero, which is not an absent weight", () => {
    assert.equal(decodeWorkload({ uid: "u", capacity: 0 }).capacity, 0);
  });

  it("un-maps IPv4 addresses written in IPv6 form", () => {
    const mapped = new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1]);
    assert.deepEqual(decodeWorkload({ uid: "u", addresses: [mapped] }).addresses, ["10.0.0.1"]);
  });

  it("refuses workloads it cannot represent", () => {
    assert.throws(() => decodeWorkload({}), /uid is missing/);
    assert.throws(() => decodeWorkload({ uid: "u", addresses: [new Uint8Array(5)] }), /5 bytes/);
    assert.throws(() => decodeWorkload({ uid: "u", waypoint: {} }), /no destination/);
    const ports = [{ servicePort: 80, targetPort: 70000 }];
    assert.throws(() => decodeWorkload({ uid: "u", services: { s: { ports } } }), /70000/);
  });

  it("holds a workload that is to be reached in a way that it does not know", () => {
    const legacy = wire.TunnelProtocol.LEGACY_ISTIO_MTLS;
    const held = (init: Parameters<typeof decodeWorkload>[0]) => decodeWorkload(init).unusable;
    assert.equal(held({ uid: "u", tunnelProtocol: legacy }), "unknown tunnel protocol 2");
    assert.equal(held({ uid: "u", tunnelProtocol: unknown(7) }), "unknown tunnel protocol 7");
    assert.equal(held({ uid: "u", networkMode: unknown(2) }), "unknown network mode 2");
    const applicationTunnel = { protocol: unknown(5), port: 1 };
    assert.equal(held({ uid: "u", applicationTunnel }), "unknown application tunnel 5");
    assert.equal(held({ uid: "u", tunnelProtocol: wire.TunnelProtocol.HBONE }), undefined);
  });

  it("takes what it does not know for the safest that it does, and says so", () => {
    const value = create(wire.WorkloadSchema, {
      uid: "u",
      status: unknown(-1),
      workloadType: unknown(9),
    });
    const message = create(wire.AddressSchema, { type: { case: "workload", value } });
    const address = decodeAddress(toBinary(wire.AddressSchema, message));
    assert.ok(address.kind === "workload");
    assert.equal(address.workload.status, "unhealthy");
    assert.equal(address.workload.unusable, undefined);
    assert.deepEqual(address.notUnderstood, [
      "unknown workload type 9, taken as pod",
      "unknown workload status -1, taken as unhealthy",
    ]);
  });

  it("holds a service whose balancing it does not know, and shows an unknown one to few", () => {
    const decode = (init: Parameters<typeof create<typeof wire.ServiceSchema>>[1]) => {
      const value = create(wire.ServiceSchema, { namespace: "n", hostname: "h", ...init });
      const message = create(wire.AddressSchema, { type: { case: "service", value } });
      const address = decodeAddress(toBinary(wire.AddressSchema, message));
      assert.ok(address.kind === "service");
      return address;
    };
    const mode = decode({ loadBalancing: { mode: unknown(9) } }).service;
    assert.equal(mode.unusable, "unknown load balancing mode 9");
    const scope = decode({ loadBalancing: { routingPreference: [unknown(12)] } }).service;
    assert.equal(scope.unusable, "unknown routing scope 12");
    const { service, notUnderstood } = decode({
      visibility: unknown(3),
      loadBalancing: { healthPolicy: unknown(4) },
      ports: [{ servicePort: 80, targetPort: 80, appProtocol: unknown(77) }],
    });
    assert.equal(service.unusable, undefined);
    assert.equal(service.visibility, "namespace");
    assert.equal(service.loadBalancing?.healthPolicy, "only-healthy");
    assert.equal(service.ports[0]?.appProtocol, "unknown");
    assert.equal(notUnderstood?.length, 2);
  });

  it("takes 15008 for a gateway port that is not given", () => {
    const hostname = create(wire.NamespacedHostnameSchema, { namespace: "n", hostname: "h" });
    const waypoint = { destination: { case: "hostname" as const, value: hostname } };
    assert.equal(decodeWorkload({ uid: "u", waypoint }).waypoint?.hboneMtlsPort, 15008);
  });

  it("refuses an address without content, and a service without a hostname", () => {
    assert.throws(() => decodeAddress(new Uint8Array()), /neither a workload nor a service/);
    const value = create(wire.ServiceSchema, { namespace: "n" });
    const message = create(wire.AddressSchema, { type: { case: "service", value } });
    assert.throws(() => decodeAddress(toBinary(wire.AddressSchema, message)), /hostname/);
  });
});
