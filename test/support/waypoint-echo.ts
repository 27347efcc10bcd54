/** A gRPC service whose messages are bytes, for both its ends. */
import type { ServiceDefinition } from "@grpc/grpc-js";

const asItIs = (bytes: Buffer): Buffer => bytes;
const messages = {
  requestSerialize: asItIs,
  requestDeserialize: asItIs,
  responseSerialize: asItIs,
  responseDeserialize: asItIs,
};

export const ECHO_SERVICE = {
  Once: { path: "/test.Echo/Once", requestStream: false, responseStream: false, ...messages },
  Stream: { path: "/test.Echo/Stream", requestStream: true, responseStream: true, ...messages },
} satisfies ServiceDefinition;
