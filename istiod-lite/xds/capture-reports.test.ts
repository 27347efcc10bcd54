import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import type { PodReport } from "#common/model/captured-pod.ts";
import type { ServiceAccountClaims } from "#common/tls/service-account-token.ts";
import { report } from "#common/xds/capture-rpc.ts";
import type { StatusWriter } from "../config/source.ts";
import { makeNamespace, makePod, present } from "../registry/registry-fixtures.ts";
import { AdsTestServer } from "./ads-test-server.ts";

/** Keeps what is written, or fails as often as it is told to. */
class RecordingWriter implements StatusWriter {
  readonly written: string[] = [];
  failures = 0;

  async setPodAnnotation(
    namespace: string,
    pod: string,
    annotation: string,
    value: string | undefined,
  ): Promise<void> {
    if (this.failures-- > 0) throw new Error("disk full");
    this.written.push(`${namespace}/${pod} ${annotation}=${value ?? ""}`);
  }

  async setConditions(): Promise<void> {
    throw new Error("a capture report sets no conditions");
  }

  async recordEvent(object: { name: string }, event: { message: string }): Promise<void> {
    this.written.push(`event ${object.name}: ${event.message}`);
  }
}

const web: PodReport = {
  uid: "uid-of-shop-web-1",
  name: "web-1",
  namespace: "shop",
  state: "enabled",
  message: "",
};
const ANNOTATION = "shop/web-1 ambient.istio.io/redirection=";

describe("a capture report", () => {
  let writer: RecordingWriter;
  let server: AdsTestServer;
  beforeEach(async () => {
    writer = new RecordingWriter();
    server = await AdsTestServer.start(writer);
    const ambient = makeNamespace("shop", { "istio.io/dataplane-mode": "ambient" });
    server.apply(present(makePod(), ambient));
  });
  afterEach(() => server.close());

  async function send(
    pods: readonly PodReport[],
    who: Partial<ServiceAccountClaims> | Metadata = {},
    node = "node-1",
  ): Promise<status> {
    const metadata = who instanceof Metadata ? who : await server.metadata(who);
    const { path, requestSerialize, responseDeserialize } = report;
    return new Promise((resolve) => {
      server
        .client()
        .makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          { node, pods },
          metadata,
          (error: ServiceError | null) => resolve(error?.code ?? status.OK),
        );
    });
  }

  it("writes the state to the pod, and says why where it is not complete", async () => {
    assert.equal(await send([{ ...web, state: "pending", message: "no nft" }]), status.OK);
    assert.equal(await send([web]), status.OK);
    assert.equal(await send([{ ...web, state: "disabled" }]), status.OK);
    assert.deepEqual(writer.written, [
      `${ANNOTATION}pending`,
      "event web-1: no nft",
      `${ANNOTATION}enabled`,
      ANNOTATION,
    ]);
  });

  it("counts only for the pod that now has the name", async () => {
    assert.equal(await send([{ ...web, uid: "the one before" }]), status.OK);
    assert.equal(await send([{ ...web, name: "nobody" }]), status.OK);
    assert.deepEqual(writer.written, []);
  });

  it("cannot enable a pod that is not to be captured, only say that it no longer is", async () => {
    server.apply(present(makeNamespace("shop")));
    await send([web]);
    assert.deepEqual(writer.written, []);
    await send([{ ...web, state: "disabled" }]);
    assert.deepEqual(writer.written, [ANNOTATION]);
  });

  it("is refused for another node than the token's, and for its pods", async () => {
    assert.equal(await send([web], {}, "node-2"), status.PERMISSION_DENIED);
    assert.equal(await send([web], { node: "node-2" }), status.PERMISSION_DENIED);
    assert.equal(await send([web], { node: "node-2" }, "node-2"), status.OK);
    assert.deepEqual(writer.written, []);
  });

  it("is refused without a token, and to anybody but ztunnel", async () => {
    assert.equal(await send([web], new Metadata()), status.UNAUTHENTICATED);
    assert.equal(await send([web], { serviceAccount: "web" }), status.PERMISSION_DENIED);
    assert.deepEqual(writer.written, []);
  });

  it("is to be sent again where it could not be written", async () => {
    writer.failures = 1;
    assert.equal(await send([web]), status.UNAVAILABLE);
    assert.equal(await send([web]), status.OK);
    assert.deepEqual(writer.written, [`${ANNOTATION}enabled`]);
  });
});
