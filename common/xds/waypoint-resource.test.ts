import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import type { WaypointResource } from "#common/model/waypoint/resource.ts";
import { decodeWaypointResource } from "./decode-waypoint-resource.ts";
import { encodeWaypointResource } from "./encode-waypoint-resource.ts";
import { ResourceSchema } from "./gen/ambient/waypoint_pb.js";

const BACKEND: WaypointResource = {
  kind: "backend",
  namespace: "shop",
  hostname: "api.shop.svc.cluster.local",
  serviceName: "api",
  policy: {},
  portPolicies: {},
  subsets: { v1: { workloads: ["Kubernetes//Pod/shop/api-1"], policy: {} } },
};

function wire(value: unknown): Uint8Array {
  const json = typeof value === "string" ? value : JSON.stringify(value);
  return toBinary(ResourceSchema, create(ResourceSchema, { json }));
}

test("a waypoint's resource survives the wire", () => {
  assert.deepEqual(decodeWaypointResource(encodeWaypointResource(BACKEND)), BACKEND);
});

test("the order of fields does not change the bytes", () => {
  const turned = Object.fromEntries(Object.entries(BACKEND).reverse()) as WaypointResource;
  assert.deepEqual(encodeWaypointResource(turned), encodeWaypointResource(BACKEND));
});

test("an unknown field, a missing one, a wrong type and an unknown kind are refused with their place", () => {
  const refusal = (value: unknown, message: RegExp): void => {
    assert.throws(() => decodeWaypointResource(wire(value)), { code: "INVALID_RESOURCE", message });
  };
  refusal({ ...BACKEND, extra: 1 }, /resource\.extra is not known/);
  refusal({ ...BACKEND, policy: undefined }, /resource\.policy is missing/);
  refusal({ ...BACKEND, hostname: 7 }, /resource\.hostname must be a string, but is 7/);
  refusal({ ...BACKEND, kind: "other" }, /resource\.kind must be one of gateway, service, backend/);
  refusal(
    { ...BACKEND, subsets: { v1: { workloads: [1], policy: {} } } },
    /resource\.subsets\.v1\.workloads\[0\]/,
  );
  refusal("{", /not JSON/);
});
