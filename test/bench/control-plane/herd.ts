/**
 * Many ztunnels that come back at the same moment. Each is a real gRPC client with a connection of
 * its own, but only counts what it is sent: hundreds of them fit into one process.
 */
import { readFile } from "node:fs/promises";
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import { MeshError } from "#common/runtime/errors.ts";
import { type DeltaDiscoveryRequest, deltaAggregatedResources } from "#common/xds/discovery-rpc.ts";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE, CAPTURED_POD_TYPE } from "#common/xds/type-urls.ts";
import { rssMb } from "../l4/process-usage.ts";
import { type CountedResponse, countResponse } from "./count-response.ts";
import type { IstiodProcess } from "./istiod-process.ts";
import { nodeName, ztunnelName } from "./mesh-objects.ts";

export interface HerdResult {
  readonly clients: number;
  /** From the first connection to the last answer of the last client. */
  readonly seconds: number;
  readonly megabytes: number;
  /** Resources that the least and the most served client got. */
  readonly resources: readonly [number, number];
  /** Streams that ended and were opened again. */
  readonly retries: number;
  /** istiod-lite's memory before, and the most that was seen meanwhile. */
  readonly rssMbBefore: number;
  readonly rssMbPeak: number;
}

/** What a ztunnel subscribes to. */
const ZTUNNEL_TYPES = [ADDRESS_TYPE, AUTHORIZATION_TYPE, CAPTURED_POD_TYPE];

const RSS_INTERVAL_MS = 50;
const RETRY_MS = 100;
const MAX_RETRIES_PER_CLIENT = 50;

/** Connects `count` clients at once; resolves when each knows everything. */
export async function runHerd(istiod: IstiodProcess, count: number): Promise<HerdResult> {
  const roots = await readFile(istiod.rootCertFile);
  const tokens = await Promise.all(
    Array.from({ length: count }, (_, index) => istiod.token(nodeName(index))),
  );
  const rssMbBefore = rssMb(istiod.procDir);
  let rssMbPeak = rssMbBefore;
  const watch = setInterval(() => {
    rssMbPeak = Math.max(rssMbPeak, rssMb(istiod.procDir));
  }, RSS_INTERVAL_MS);
  const startedAt = performance.now();
  const herd = tokens.map((token, index) => new Member(istiod.xdsPort, roots, token, index));
  try {
    await Promise.all(herd.map((member) => member.synced()));
    const resources = herd.map((member) => member.resources);
    return {
      clients: count,
      seconds: (performance.now() - startedAt) / 1000,
      megabytes: herd.reduce((sum, member) => sum + member.bytes, 0) / 2 ** 20,
      resources: [Math.min(...resources), Math.max(...resources)],
      retries: herd.reduce((sum, member) => sum + member.retries, 0),
      rssMbBefore,
      rssMbPeak,
    };
  } finally {
    clearInterval(watch);
    for (const member of herd) member.close();
  }
}

type Stream = ClientDuplexStream<DeltaDiscoveryRequest, CountedResponse>;

class Member {
  bytes = 0;
  resources = 0;
  retries = 0;
  readonly #client: Client;
  readonly #metadata = new Metadata();
  readonly #node: string;

  constructor(port: number, roots: Buffer, token: string, index: number) {
    this.#node = nodeName(index);
    this.#metadata.set("authorization", `Bearer ${token}`);
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createSsl(roots), {
      "grpc.ssl_target_name_override": "istiod.istio-system.svc",
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": -1,
      "grpc.initial_reconnect_backoff_ms": RETRY_MS,
    });
  }

  /** Resolves when every type has been answered; tries again where the stream ends before. */
  async synced(): Promise<void> {
    for (;;) {
      const end = await this.#once();
      if (end === undefined) return;
      if (++this.retries > MAX_RETRIES_PER_CLIENT) {
        const message = `${this.#node} was refused: ${status[end.code]} ${end.details}`;
        throw new MeshError("BENCH_FAILED", message);
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  close(): void {
    this.#client.close();
  }

  /** Undefined when all is known. */
  #once(): Promise<StatusObject | undefined> {
    const { path, requestSerialize } = deltaAggregatedResources;
    const stream: Stream = this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      countResponse,
      this.#metadata,
      {},
    );
    this.bytes = 0;
    this.resources = 0;
    const unanswered = new Set<string>(ZTUNNEL_TYPES);
    for (const typeUrl of ZTUNNEL_TYPES) stream.write(this.#request(typeUrl, ""));
    return new Promise((resolve) => {
      stream.on("data", ({ typeUrl, nonce, resources, bytes }: CountedResponse) => {
        this.bytes += bytes;
        this.resources += resources;
        unanswered.delete(typeUrl);
        stream.write(this.#request(typeUrl, nonce));
        if (unanswered.size === 0) resolve(undefined);
      });
      stream.on("error", () => undefined);
      stream.on("status", (end: StatusObject) => resolve(end));
    });
  }

  #request(typeUrl: string, responseNonce: string): DeltaDiscoveryRequest {
    const id = `ztunnel~192.168.0.1~${ztunnelName(this.#node)}.istio-system~istio-system.svc`;
    return {
      node: { id, cluster: "", metadata: { NODE_NAME: this.#node } },
      typeUrl,
      subscribe: [],
      unsubscribe: [],
      initialResourceVersions: new Map(),
      responseNonce,
    };
  }
}
