/** One request to an OpenTelemetry collector: OTLP in protobuf, by gRPC or by HTTP. */
import http from "node:http";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { MeshError } from "#common/runtime/errors.ts";
import { EXPORT_ANSWER_BYTES, EXPORT_TIMEOUT_MS } from "./limits.ts";

export interface CollectorAddress {
  readonly host: string;
  readonly port: number;
}

export interface CollectorClient {
  /** Rejects with MeshError EXPORT_FAILED where the collector did not take it. */
  send(body: Uint8Array): Promise<void>;
  close(): void;
}

/** Source: opentelemetry-proto, collector/trace/v1/trace_service.proto. */
const EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/** Source: OTLP specification, OTLP/HTTP request. */
const TRACES_PATH = "/v1/traces";

export function openCollector(
  protocol: "grpc" | "http",
  address: CollectorAddress,
): CollectorClient {
  return protocol === "grpc" ? grpcClient(address) : httpClient(address);
}

function grpcClient({ host, port }: CollectorAddress): CollectorClient {
  const name = host.includes(":") ? `[${host}]` : host;
  const client = new Client(`${name}:${port}`, credentials.createInsecure());
  return {
    send: (body) =>
      new Promise((resolve, reject) => {
        const deadline = Date.now() + EXPORT_TIMEOUT_MS;
        const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
        const same = (value: Buffer): Buffer => value;
        client.makeUnaryRequest(
          EXPORT,
          same,
          same,
          bytes,
          new Metadata(),
          { deadline },
          (error) => {
            if (error === null) resolve();
            else reject(failed(error));
          },
        );
      }),
    close: () => client.close(),
  };
}

function httpClient({ host, port }: CollectorAddress): CollectorClient {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  return {
    send: (body) =>
      new Promise((resolve, reject) => {
        const headers = { "content-type": "application/x-protobuf", "content-length": body.length };
        const signal = AbortSignal.timeout(EXPORT_TIMEOUT_MS);
        const options = { host, port, path: TRACES_PATH, method: "POST", headers, agent, signal };
        const request = http.request(options, (response) => {
          answered(response).then(resolve, reject);
        });
        request.on("error", (error) => reject(failed(error)));
        request.end(body);
      }),
    close: () => agent.destroy(),
  };
}

/** The answer is read to its end, so that the connection can be used again. */
async function answered(response: http.IncomingMessage): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of response) {
      bytes += (chunk as Buffer).length;
      if (bytes > EXPORT_ANSWER_BYTES) response.destroy();
    }
  } catch (error) {
    throw failed(error);
  }
  const { statusCode = 0 } = response;
  if (statusCode < 200 || statusCode > 299) throw failed(new Error(`status ${statusCode}`));
}

function failed(cause: unknown): MeshError {
  return new MeshError("EXPORT_FAILED", "the collector did not take the spans", {
    cause,
    hint: "look whether the service that Telemetry names runs, and takes OTLP on that port",
  });
}
