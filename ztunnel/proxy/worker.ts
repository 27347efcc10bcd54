/** The entry point of a data worker thread: messages in, a `DataPlane`, messages out. */
import { flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { formatSocketAddress, type SocketAddress } from "#common/model/ip.ts";
import { describeError } from "#common/runtime/errors.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";
import { DataPlane } from "./data-plane.ts";
import { TelemetryBatcher } from "./telemetry-batch.ts";
import type { ConnectionSummary, FromWorker, ToWorker, WorkerOptions } from "./worker-protocol.ts";

function start(port: NonNullable<typeof parentPort>, options: WorkerOptions): void {
  const send = (message: FromWorker): void => port.postMessage(message);
  const telemetry = new TelemetryBatcher(
    (batch) => send({ type: "telemetry", batch: JSON.stringify(batch) }),
    (error) => send({ type: "internal-error", details: detailsOf(error) }),
  );
  const dataPlane = new DataPlane(options, {
    syscalls: createLinuxSyscalls(options.tuning?.keepalive),
    reporter: telemetry,
    askAddress: (name) => send({ type: "address-wanted", name }),
    requestCertificate: (identity) => send({ type: "certificate-wanted", identity }),
    random: Math.random,
  });
  port.on("message", (message: ToWorker) => void handle(dataPlane, message, send, telemetry));
  send({ type: "ready" });
  // Also for processes that are killed: reading TypeScript again would cost the next one 15 MB.
  flushCompileCache();
}

async function handle(
  dataPlane: DataPlane,
  message: ToWorker,
  send: (message: FromWorker) => void,
  telemetry: TelemetryBatcher,
): Promise<void> {
  switch (message.type) {
    case "add-pod":
      send(await addPod(dataPlane, message));
      return;
    case "remove-pod":
      await dataPlane.removePod(message.podUid);
      send({ type: "done", request: message.request });
      return;
    case "list-connections":
      // Whoever asks sees the state that was sent before, as if all were done in turn.
      await dataPlane.whenApplied();
      sendConnections(dataPlane, message.request, send);
      return;
    case "drain":
      await dataPlane.drain(message.deadlineMs);
      telemetry.flush();
      send({ type: "drained" });
      return;
    default:
      await inform(dataPlane, message);
  }
}

/** What only has to be known. */
async function inform(dataPlane: DataPlane, message: News): Promise<void> {
  switch (message.type) {
    case "state":
      dataPlane.applyState(message.update);
      return;
    case "addresses-answered":
      // In the order of the messages: what was found has been taken in.
      await dataPlane.whenApplied();
      dataPlane.addressesAnswered(message.answers);
      return;
    case "memory":
      dataPlane.setMemoryIsShort(message.short);
      return;
    case "certificate":
      dataPlane.putCertificate(message.certificate);
      return;
    case "revocations":
      dataPlane.setRevocations(message.lists);
      return;
  }
}

type News = Extract<
  ToWorker,
  { type: "state" | "addresses-answered" | "memory" | "certificate" | "revocations" }
>;

async function addPod(
  dataPlane: DataPlane,
  { request, pod, netns, listeners }: Extract<ToWorker, { type: "add-pod" }>,
): Promise<FromWorker> {
  const error = await outcomeOf(() => dataPlane.addPod(pod, netns, listeners));
  return { type: "done", request, ...(error !== undefined && { error }) };
}

function sendConnections(
  dataPlane: DataPlane,
  request: number,
  send: (message: FromWorker) => void,
): void {
  send({ type: "connections", request, connections: listConnections(dataPlane) });
}

/** With the stack: it is the only trace of a bug. */
function detailsOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

async function outcomeOf(action: () => Promise<void>): Promise<string | undefined> {
  try {
    await action();
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

function listConnections(dataPlane: DataPlane): ConnectionSummary[] {
  return [...dataPlane.tracker.metas()].map(({ podUid, meta }) => ({
    podUid,
    direction: meta.reporter === "source" ? "outbound" : "inbound",
    source: formatKnown(meta.sourceAddress),
    destination: formatKnown(meta.destinationAddress),
    dialled: formatKnown(meta.dialledAddress),
    hboneAddress: meta.hboneAddress,
    service: meta.service?.hostname,
    security: meta.security,
  }));
}

function formatKnown(address: SocketAddress | undefined): string {
  return address === undefined ? "" : formatSocketAddress(address);
}

if (parentPort !== null) start(parentPort, workerData as WorkerOptions);
