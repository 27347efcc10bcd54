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

  async setPodAnnotations(
    { namespace, name }: { readonly namespace: string; readonly name: string },
    annotations: Readonly<Record<string, string | undefined>>,
  ): Promise<void> {
    if (this.failures-- > 0) throw new Error("disk full");
    for (const [annotation, value] of Object.entries(annotations)) {
      if (!annotation.startsWith("ambient.istio.io/") && value === undefined) continue;
      this.written.push(`${namespace}/${name} ${annotation}=${value ?? ""}`);
    }
  }

  async setConditions(): Promise<void> {
    throw new Error("a capture report sets no conditions");
  }

  async setStatusFields(): Promise<void> {
    assert.fail("not expected here");
  }

  async setAddresses(): Promise<void> {
    throw new Error("a capture report sets no addresses");
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

  it("says how often a capture was put back, each time once", async () => {
    const repairs = { count: 1, last: "rules-missing: the table is gone" };
    const text = "1, last rules-missing: the table is gone";
    const noted = [`${ANNOTATION}enabled`, `shop/web-1 ambientmesh/capture-repairs=${text}`];
    const event = "event web-1: capture was lost and has been put back: rules-missing: the table";
    await send([{ ...web, repairs }]);
    assert.deepEqual(writer.written, [...noted, `${event} is gone`]);
    writer.written.length = 0;
    await send([{ ...web, repairs }]);
    assert.deepEqual(writer.written, noted);
    writer.written.length = 0;
    await send([{ ...web, repairs: { ...repairs, count: 2 } }]);
    assert.equal(writer.written.filter((line) => line.startsWith("event ")).length, 1);
  });

  it("says on the pod what is wrong with it, and takes it back when it is not", async () => {
    const problem = "shop/web-1 ambientmesh/capture-problem=";
    await send([{ ...web, message: "lost again and again" }]);
    assert.deepEqual(writer.written, [
      `${ANNOTATION}enabled`,
      `${problem}lost again and again`,
      "event web-1: lost again and again",
    ]);
    writer.written.length = 0;
    await send([{ ...web, state: "failed", message: "no nft" }]);
    await send([web]);
    assert.deepEqual(writer.written, [
      `${ANNOTATION}pending`,
      `${problem}no nft`,
      "event web-1: no nft",
      `${ANNOTATION}enabled`,
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
