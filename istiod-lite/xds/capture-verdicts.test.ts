import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import type { Pod } from "#common/kubernetes/objects.ts";
import type { CaptureVerdict, SandboxedPod } from "#common/model/captured-pod.ts";
import type { ServiceAccountClaims } from "#common/tls/service-account-token.ts";
import { type Departure, departure, verdict } from "#common/xds/capture-rpc.ts";
import type { StatusWriter } from "../config/source.ts";
import { makeNamespace, makePod, present } from "../registry/registry-fixtures.ts";
import { AdsTestServer } from "./ads-test-server.ts";

const NO_WRITER: StatusWriter = {
  setPodAnnotations: async () => undefined,
  setConditions: async () => undefined,
  setStatusFields: async () => undefined,
  setAddresses: async () => undefined,
  recordEvent: async () => undefined,
};
const AMBIENT = makeNamespace("shop", { "istio.io/dataplane-mode": "ambient" });
const ASKED: SandboxedPod = {
  node: "node-1",
  namespace: "shop",
  name: "web-1",
  uid: "uid-of-shop-web-1",
};

/** As the API server has it while its sandbox is being made. */
function podWithoutAddress(name = "web-1"): Pod {
  return makePod({ name, ips: [], status: { phase: "Pending" } });
}

describe("a ztunnel that ends, or whose node makes a sandbox,", () => {
  let server: AdsTestServer;
  beforeEach(async () => {
    server = await AdsTestServer.start(NO_WRITER);
  });
  afterEach(() => server.close());

  async function ask(
    asked: Partial<SandboxedPod> = {},
    who: Partial<ServiceAccountClaims> = {},
  ): Promise<CaptureVerdict | status> {
    const metadata = await server.metadata(who);
    const request = { ...ASKED, ...asked };
    const { path, requestSerialize, responseDeserialize } = verdict;
    return new Promise((resolve) => {
      const answer = (error: ServiceError | null, value?: CaptureVerdict): void =>
        resolve(error?.code ?? value ?? status.OK);
      const client = server.client();
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        answer,
      );
    });
  }

  it("hears that a pod without an address is enrolled, and all that capture needs", async () => {
    server.apply(present(podWithoutAddress(), AMBIENT));
    assert.deepEqual(await ask(), {
      kind: "enrolled",
      pod: {
        uid: ASKED.uid,
        name: "web-1",
        namespace: "shop",
        serviceAccount: "web",
        ips: [],
        workloadUid: "Kubernetes//Pod/shop/web-1",
        bypassInboundCapture: false,
        dnsCapture: true,
      },
    });
  });

  it("hears why a pod is not enrolled", async () => {
    server.apply(present(podWithoutAddress(), makeNamespace("shop", {})));
    const answer = await ask();
    assert.ok(typeof answer === "object" && answer.kind === "not-enrolled");
    assert.match(answer.reason, /no label istio.io\/dataplane-mode=ambient/);
  });

  it("waits for a pod that the watch has not brought yet", async () => {
    server.apply(present(AMBIENT, podWithoutAddress("other-1")));
    const answer = ask();
    server.apply(present(podWithoutAddress()));
    assert.equal(((await answer) as CaptureVerdict).kind, "enrolled");
  });

  it("is told to ask again where the pod does not come", async () => {
    server.apply(present(AMBIENT));
    assert.equal(await ask(), status.UNAVAILABLE);
  });

  it("hears nothing of an earlier pod of the same name, nor of one bound elsewhere", async () => {
    server.apply(present(podWithoutAddress(), AMBIENT));
    assert.equal(await ask({ uid: "uid-of-its-successor" }), status.UNAVAILABLE);
    const moved = makePod({ status: { phase: "Pending" }, spec: { nodeName: "node-2" } });
    server.apply(present(moved));
    assert.equal(await ask(), status.UNAVAILABLE);
  });

  it("hears of a static pod by the uid that its mirror names", async () => {
    const mirror = makePod({
      status: { phase: "Pending" },
      annotations: { "kubernetes.io/config.mirror": "0123456789abcdef0123456789abcdef" },
    });
    server.apply(present(mirror, AMBIENT));
    const answer = (await ask({ uid: "0123456789abcdef0123456789abcdef" })) as CaptureVerdict;
    assert.equal(answer.kind === "enrolled" && answer.pod.uid, ASKED.uid);
  });

  it("hears nothing of another node's pods, nor does anybody else", async () => {
    server.apply(present(podWithoutAddress(), AMBIENT));
    assert.equal(await ask({ node: "node-2" }), status.PERMISSION_DENIED);
    assert.equal(await ask({}, { serviceAccount: "web" }), status.PERMISSION_DENIED);
  });

  it("hears that it is for good only where that is certain", async () => {
    const leave = async (): Promise<boolean | undefined> => {
      const metadata = await server.metadata();
      const { path, requestSerialize: write, responseDeserialize: read } = departure;
      return new Promise((resolve) => {
        const answer = (_: ServiceError | null, value?: Departure) => resolve(value?.forGood);
        server.client().makeUnaryRequest(path, write, read, { node: "node-1" }, metadata, answer);
      });
    };
    assert.equal(await leave(), false);
    server.areZtunnelsRemoved = () => true;
    assert.equal(await leave(), true);
    server.areZtunnelsRemoved = () => {
      throw new Error("the API server is away");
    };
    assert.equal(await leave(), false);
  });
});
