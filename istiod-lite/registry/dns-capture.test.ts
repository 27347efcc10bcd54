import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { capturedPod } from "./enrolment.ts";
import { makePod } from "./registry-fixtures.ts";

const ANNOTATION = "ambient.istio.io/dns-capture";

describe("DNS of a captured pod is captured", () => {
  const app = makePod();
  const containers = [{ name: "dns", image: "coredns", ports: [{ containerPort: 53 }] }];
  const nameServer = makePod({ spec: { containers } });
  const annotated = (value: string, spec = {}) =>
    makePod({ annotations: { [ANNOTATION]: value }, spec });

  for (const [what, pod, byDefault, expected] of [
    ["as the mesh says: yes", app, true, true],
    ["as the mesh says: no", app, false, false],
    ["as the annotation says: yes", annotated("true"), false, true],
    ["as the annotation says: no", annotated("false"), true, false],
    ["as the mesh says where the annotation says nothing", annotated("maybe"), true, true],
    ["not where it is a name server", nameServer, true, false],
    ["of a name server whose annotation says so", annotated("true", { containers }), true, true],
  ] as const) {
    it(what, () => {
      const captured = capturedPod(pod, "uid", { dnsCapture: byDefault });
      assert.equal(captured?.pod.dnsCapture, expected);
    });
  }
});
