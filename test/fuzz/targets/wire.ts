/** Everything that arrives as protobuf: mesh state, policies, captured pods, ZDS, discovery. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { compilePolicies, evaluate } from "#common/authorization/evaluate.ts";
import { naiveAllowed } from "#common/authorization/oracle.ts";
import type { Connection } from "#common/model/connection.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { parseIp } from "#common/model/ip.ts";
import type { MeshAddress } from "#common/model/mesh-address.ts";
import {
  authorizationArbitrary,
  capturedPodArbitrary,
  serviceArbitrary,
  workloadArbitrary,
} from "#common/xds/codec-arbitraries.ts";
import { decodeAuthorization } from "#common/xds/decode-authorization.ts";
import { decodeCapturedPod } from "#common/xds/decode-captured-pod.ts";
import { decodeAddress } from "#common/xds/decode-workload.ts";
import { decodeZdsAck, decodeZdsHello, decodeZdsRequest } from "#common/xds/decode-zds.ts";
import { deltaAggregatedResources } from "#common/xds/discovery-rpc.ts";
import { encodeAuthorization } from "#common/xds/encode-authorization.ts";
import { encodeCapturedPod } from "#common/xds/encode-captured-pod.ts";
import { encodeAddress } from "#common/xds/encode-workload.ts";
import { encodeZdsAck, encodeZdsHello, encodeZdsRequest } from "#common/xds/encode-zds.ts";
import { checkStable, type FuzzTarget, readOrRefusal } from "../fuzz-target.ts";

/** Field tags, lengths that lie, groups, and varints without an end. */
const WIRE_WORDS = [
  ...["0a00", "0aff01", "08ffffffffffffffffff01", "0b", "0c", "0d", "12ffffffff0f", "ffffffffff"],
  ...["7a04", "fa0100", "1a02", "2200", "10ffffffff0f", "f80701", "c2ff0a"],
].map((hex) => Buffer.from(hex, "hex"));

export const address: FuzzTarget = {
  name: "address",
  corpus: [Buffer.alloc(0)],
  words: WIRE_WORDS,
  generated: fc.oneof(
    workloadArbitrary.map((workload) => encodeAddress({ kind: "workload", workload })),
    serviceArbitrary.map((service) => encodeAddress({ kind: "service", service })),
  ),
  check: (input) => {
    const read = readOrRefusal(() => decodeAddress(input));
    if ("refusal" in read) return read.refusal;
    // What was not understood cannot be written again.
    if (read.value.notUnderstood || unusableOf(read.value)) return "not understood";
    return checkStable(input, decodeAddress, encodeAddress);
  },
};

function unusableOf(value: MeshAddress): string | undefined {
  return value.kind === "workload" ? value.workload.unusable : value.service.unusable;
}

export const authorization: FuzzTarget = {
  name: "authorization",
  corpus: [Buffer.alloc(0)],
  words: WIRE_WORDS,
  generated: authorizationArbitrary.map(encodeAuthorization),
  check: (input) => {
    const read = readOrRefusal(() => decodeAuthorization(input));
    if ("refusal" in read) return read.refusal;
    for (const connection of CONNECTIONS) {
      const { allowed } = evaluate(connection, compilePolicies([read.value]));
      assert.equal(allowed, naiveAllowed(connection, [read.value]));
    }
    if (read.value.unreadable !== undefined) return read.value.unreadable[0] ?? "unreadable";
    return checkStable(input, decodeAuthorization, encodeAuthorization);
  },
};

const IPS = ["10.0.0.1", "fd00::1", "0.0.0.0"].flatMap((text) => parseIp(text) ?? []);
const CONNECTIONS: readonly Connection[] = IPS.flatMap((ip, i) => [
  { sourceIp: ip, destinationIp: ip, destinationPort: i * 80, destinationNetwork: "" },
  {
    sourceIp: ip,
    destinationIp: IPS[0] ?? ip,
    destinationPort: 80,
    destinationNetwork: "",
    sourceIdentity: makeIdentity("cluster.local", "shop", "web"),
  },
]);

export const capturedPod: FuzzTarget = {
  name: "captured-pod",
  corpus: [Buffer.alloc(0)],
  words: WIRE_WORDS,
  generated: capturedPodArbitrary.map(encodeCapturedPod),
  check: (input) => checkStable(input, decodeCapturedPod, encodeCapturedPod),
};

const INFO = { name: "web-1", namespace: "shop", serviceAccount: "web" };

/** Each message is one datagram of the socket, so what is framed is what is decoded. */
export const zds: FuzzTarget = {
  name: "zds",
  corpus: [
    encodeZdsHello(),
    encodeZdsAck("no such pod"),
    encodeZdsRequest({ kind: "add", uid: "u", info: INFO }),
    encodeZdsRequest({ kind: "keep", uid: "u" }),
    encodeZdsRequest({ kind: "del", uid: "u" }),
    encodeZdsRequest({ kind: "snapshot-sent" }),
  ],
  words: WIRE_WORDS,
  check: (input) => {
    const hello = readOrRefusal(() => decodeZdsHello(input));
    const ack = checkStable(input, decodeZdsAck, encodeZdsAck);
    const request = checkStable(input, decodeZdsRequest, encodeZdsRequest);
    return `${"refusal" in hello ? hello.refusal : "hello"}, ${ack}, ${request}`;
  },
};

const { requestDeserialize, requestSerialize, responseDeserialize, responseSerialize } =
  deltaAggregatedResources;
const node = {
  id: "ztunnel~10.0.0.1~z.istio-system",
  cluster: "",
  metadata: { a: [1, { b: null }] },
};
const NESTING = 500;

/** A message inside a message, far down: a Struct in a Value in a Struct. */
function nested(): Buffer {
  let bytes = Buffer.alloc(0);
  for (let i = 0; i < NESTING; i++) bytes = Buffer.concat([Buffer.of(0x32), varint(bytes), bytes]);
  return bytes;
}

function varint({ length }: Buffer): Buffer {
  const bytes: number[] = [];
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** gRPC answers whatever error is thrown here with a status; nothing else may happen. */
export const discovery: FuzzTarget = {
  name: "discovery",
  corpus: [
    requestSerialize({
      node,
      typeUrl: "type.googleapis.com/istio.workload.Address",
      subscribe: ["*"],
      unsubscribe: ["a"],
      initialResourceVersions: new Map([["a", "1"]]),
      responseNonce: "n",
      errorDetail: { code: 13, message: "m" },
    }),
    responseSerialize({
      typeUrl: "t",
      nonce: "n",
      systemVersionInfo: "v",
      resources: [{ name: "a", aliases: ["b"], version: "1", typeUrl: "t", value: Buffer.of(1) }],
      removedResources: ["c"],
    }),
    nested(),
  ],
  words: WIRE_WORDS,
  check: (input) =>
    `${checkMessage(input, requestDeserialize, requestSerialize)}, ` +
    checkMessage(input, responseDeserialize, responseSerialize),
};

function checkMessage<Message>(
  input: Buffer,
  read: (bytes: Buffer) => Message,
  write: (message: Message) => Buffer,
): string {
  let first: Message;
  try {
    first = read(input);
  } catch (error) {
    assert.ok(error instanceof Error);
    return error.name;
  }
  const again = read(write(first));
  // Whether bytes are a Buffer or not depends on where they come from, and matters to nobody.
  assert.deepEqual(structuredClone(again), structuredClone(first));
  return "read";
}
