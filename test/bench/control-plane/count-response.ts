/**
 * Reads of a DeltaDiscoveryResponse only what a counting client needs, without decoding the rest.
 */
import { MeshError } from "#common/runtime/errors.ts";

export interface CountedResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly resources: number;
  readonly bytes: number;
}

// Fields of envoy.service.discovery.v3.DeltaDiscoveryResponse, all of them length-delimited.
const RESOURCES = 2;
const TYPE_URL = 4;
const NONCE = 5;
const LENGTH_DELIMITED = 2;

/** Throws BENCH_FAILED for a field that is none of these. */
export function countResponse(message: Buffer): CountedResponse {
  const counted = { typeUrl: "", nonce: "", resources: 0, bytes: message.length };
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    if ((tag & 7) !== LENGTH_DELIMITED) {
      throw new MeshError("BENCH_FAILED", `a response has a field with tag ${tag}`);
    }
    const length = varint();
    const field = tag >> 3;
    if (field === RESOURCES) counted.resources++;
    else if (field === TYPE_URL) counted.typeUrl = message.toString("utf8", at, at + length);
    else if (field === NONCE) counted.nonce = message.toString("utf8", at, at + length);
    at += length;
  }
  return counted;
}
