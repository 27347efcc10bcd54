/**
 * The server side of ZDS, by which an istio-cni agent tells a ztunnel which pods it has to proxy: a
 * unix seqpacket socket, one protobuf message per packet, each answered. Messages and field
 * numbers: istio/ztunnel proto/zds.proto.
 */
import { MeshError } from "#common/runtime/errors.ts";
import {
  listenSeqpacket,
  type SeqpacketConnection,
  type SeqpacketListener,
} from "#ztunnel/sys/seqpacket.ts";

export interface ZdsPod {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** An open descriptor of the pod's network namespace. */
  readonly netnsFd: number;
}

export interface ZdsServer {
  /**
   * Resolves when a ztunnel has taken all pods; rejects with the reason it gives for refusing one.
   */
  readonly served: Promise<void>;
  close(): void;
}

/** Serves these pods to the first ztunnel that connects. */
export function serveZds(path: string, pods: readonly ZdsPod[]): ZdsServer {
  const listener = listenSeqpacket(path);
  let connection: SeqpacketConnection | undefined;
  const served = (async () => {
    connection = await listener.accept();
    if (connection === undefined) throw new MeshError("ZDS_CLOSED", "no ztunnel connected");
    await sendSnapshot(connection, pods);
  })();
  // Whoever closes the server before it was asked does not want to hear that it was.
  served.catch(() => undefined);
  return { served, close: () => closeAll(listener, connection) };
}

function closeAll(listener: SeqpacketListener, connection: SeqpacketConnection | undefined): void {
  connection?.close();
  listener.close();
}

async function sendSnapshot(
  connection: SeqpacketConnection,
  pods: readonly ZdsPod[],
): Promise<void> {
  const hello = await connection.receive();
  if (hello === undefined) throw new MeshError("ZDS_CLOSED", "ztunnel ended without a word");
  for (const pod of pods) {
    await connection.send(addWorkload(pod), pod.netnsFd);
    await expectAck(connection, `pod ${pod.namespace}/${pod.name}`);
  }
  await connection.send(field(SNAPSHOT_SENT, Buffer.alloc(0)));
  await expectAck(connection, "the end of the snapshot");
}

// Field numbers of WorkloadRequest, AddWorkload, WorkloadInfo, WorkloadResponse and Ack.
const ADD = 1;
const SNAPSHOT_SENT = 3;
const UID = 1;
const WORKLOAD_INFO = 2;
const INFO = { name: 1, namespace: 2, serviceAccount: 3 };
const ACK = 1;

function addWorkload({ uid, name, namespace, serviceAccount }: ZdsPod): Buffer {
  const info = Buffer.concat([
    field(INFO.name, Buffer.from(name)),
    field(INFO.namespace, Buffer.from(namespace)),
    field(INFO.serviceAccount, Buffer.from(serviceAccount)),
  ]);
  return field(ADD, Buffer.concat([field(UID, Buffer.from(uid)), field(WORKLOAD_INFO, info)]));
}

/** A length-delimited field; names of pods keep every length within two bytes of varint. */
function field(number: number, value: Buffer): Buffer {
  const { length } = value;
  const prefix = length < 128 ? [length] : [(length & 127) | 128, length >> 7];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...prefix]), value]);
}

/** An Ack without an error is an empty message in an otherwise empty response. */
async function expectAck(connection: SeqpacketConnection, what: string): Promise<void> {
  const answer = await connection.receive();
  if (answer === undefined) throw new MeshError("ZDS_CLOSED", `ztunnel ended at ${what}`);
  if (answer.data.equals(field(ACK, Buffer.alloc(0)))) return;
  const text = answer.data.toString("latin1").replace(/[^\x20-\x7e]/g, "");
  throw new MeshError("ZDS_REFUSED", `ztunnel refused ${what}: ${text}`);
}
