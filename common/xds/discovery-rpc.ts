/**
 * The delta xDS stream as grpc-js wants it, for `client.makeBidiStreamRequest` and
 * `server.addService`. Requests and responses are plain objects: the generated messages stay in
 * this file.
 */

import { create, fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition } from "@grpc/grpc-js";
import * as wire from "./gen/envoy/discovery_pb.js";

/** Who asks. `id` is `ztunnel~<ip>~<pod>.<namespace>~<namespace>.svc.<domain>` for a ztunnel. */
export interface DiscoveryNode {
  readonly id: string;
  readonly cluster: string;
  readonly metadata: JsonObject;
}

export interface DeltaDiscoveryRequest {
  /** On the first request of a stream; later ones may leave it out. */
  readonly node?: DiscoveryNode;
  readonly typeUrl: string;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Name to version of what the client still holds from an earlier stream. */
  readonly initialResourceVersions: ReadonlyMap<string, string>;
  /** "" on a request that answers no response. */
  readonly responseNonce: string;
  /** Set makes this a NACK. `code` is a google.rpc code. */
  readonly errorDetail?: { readonly code: number; readonly message: string };
}

export interface DiscoveryResource {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly version: string;
  readonly typeUrl: string;
  /** The encoded resource. */
  readonly value: Uint8Array;
}

export interface DeltaDiscoveryResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly systemVersionInfo: string;
  readonly resources: readonly DiscoveryResource[];
  readonly removedResources: readonly string[];
  /** The list of resources goes to many: its encoding is kept as long as the list is. */
  readonly shared?: true;
}

function serializeRequest(request: DeltaDiscoveryRequest): Buffer {
  const { node, errorDetail } = request;
  const message = create(wire.DeltaDiscoveryRequestSchema, {
    ...(node && { node }),
    typeUrl: request.typeUrl,
    resourceNamesSubscribe: [...request.subscribe],
    resourceNamesUnsubscribe: [...request.unsubscribe],
    initialResourceVersions: Object.fromEntries(request.initialResourceVersions),
    responseNonce: request.responseNonce,
    ...(errorDetail && { errorDetail }),
  });
  return asBuffer(toBinary(wire.DeltaDiscoveryRequestSchema, message));
}

function parseRequest(bytes: Uint8Array): DeltaDiscoveryRequest {
  const message = fromBinary(wire.DeltaDiscoveryRequestSchema, bytes);
  const { node, errorDetail } = message;
  return {
    ...(node && { node: { id: node.id, cluster: node.cluster, metadata: node.metadata ?? {} } }),
    typeUrl: message.typeUrl,
    subscribe: message.resourceNamesSubscribe,
    unsubscribe: message.resourceNamesUnsubscribe,
    initialResourceVersions: new Map(Object.entries(message.initialResourceVersions)),
    responseNonce: message.responseNonce,
    ...(errorDetail && { errorDetail: { code: errorDetail.code, message: errorDetail.message } }),
  };
}

/**
 * Resources are encoded apart and appended: in protobuf, joined encodings of a message are the
 * encoding of the joined message. So a resource that goes to a thousand proxies is encoded once.
 */
function serializeResponse(response: DeltaDiscoveryResponse): Buffer {
  const rest = create(wire.DeltaDiscoveryResponseSchema, {
    systemVersionInfo: response.systemVersionInfo,
    typeUrl: response.typeUrl,
    nonce: response.nonce,
    removedResources: [...response.removedResources],
  });
  const head = toBinary(wire.DeltaDiscoveryResponseSchema, rest);
  const { resources, shared } = response;
  return shared === true
    ? encodedList(head, resources)
    : Buffer.concat([head, ...resources.map(encodedResource)]);
}

/** The last message with a list, kept as long as the list itself is. */
const encodedLists = new WeakMap<
  readonly DiscoveryResource[],
  { readonly head: Uint8Array; readonly message: Buffer }
>();

/** First responses have the same head, too: then it is the same message for all. */
function encodedList(head: Uint8Array, resources: readonly DiscoveryResource[]): Buffer {
  const known = encodedLists.get(resources);
  if (known !== undefined && Buffer.compare(known.head, head) === 0) return known.message;
  const body =
    known === undefined
      ? resources.map(encodedResource)
      : [known.message.subarray(known.head.length)];
  const message = Buffer.concat([head, ...body]);
  encodedLists.set(resources, { head, message });
  return message;
}

/** Kept as long as the resource itself is. */
const encodedResources = new WeakMap<DiscoveryResource, Uint8Array>();

function encodedResource(resource: DiscoveryResource): Uint8Array {
  const known = encodedResources.get(resource);
  if (known !== undefined) return known;
  const one = create(wire.DeltaDiscoveryResponseSchema, {
    resources: [
      {
        name: resource.name,
        aliases: [...resource.aliases],
        version: resource.version,
        resource: { typeUrl: resource.typeUrl, value: resource.value as Uint8Array<ArrayBuffer> },
      },
    ],
  });
  const bytes = toBinary(wire.DeltaDiscoveryResponseSchema, one);
  encodedResources.set(resource, bytes);
  return bytes;
}

function parseResponse(bytes: Uint8Array): DeltaDiscoveryResponse {
  const message = fromBinary(wire.DeltaDiscoveryResponseSchema, bytes);
  return {
    typeUrl: message.typeUrl,
    nonce: message.nonce,
    systemVersionInfo: message.systemVersionInfo,
    removedResources: message.removedResources,
    resources: message.resources.map((resource) => ({
      name: resource.name,
      aliases: resource.aliases,
      version: resource.version,
      typeUrl: resource.resource?.typeUrl ?? "",
      value: resource.resource?.value ?? new Uint8Array(),
    })),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export const deltaAggregatedResources: MethodDefinition<
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse
> = {
  path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
  requestStream: true,
  responseStream: true,
  requestSerialize: serializeRequest,
  requestDeserialize: parseRequest,
  responseSerialize: serializeResponse,
  responseDeserialize: parseResponse,
};

/** For `server.addService`. */
export const AggregatedDiscoveryService = { deltaAggregatedResources };
