/**
 * Clients that are as slow as they can be, for `waypoint-client.ts dribble HOST:PORT WHAT ...`:
 *
 *     header                a request's header, a byte at a time, that never ends
 *     body SECONDS          a body, a byte at a time, for so long, and then the end of it
 *     unread COUNT PATH     so many requests whose answers nobody reads, for ten seconds
 */
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const BYTE_MS = 100;
const UNREAD_MS = 10_000;

/** What came. */
export async function dribble(
  address: string,
  [what = "", first = "1", path = "/"]: readonly string[],
): Promise<object> {
  const colon = address.lastIndexOf(":");
  const at = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
  switch (what) {
    case "header":
      return talk(at, "GET / HTTP/1.1\r\nHost: api.shop\r\n", Number.POSITIVE_INFINITY);
    case "body": {
      const bytes = (Number(first) * 1_000) / BYTE_MS;
      const head = `POST / HTTP/1.1\r\nHost: api.shop\r\nConnection: close\r\n`;
      return talk(at, `${head}Content-Length: ${bytes}\r\n\r\n`, bytes);
    }
    default:
      return leaveUnread(at, Number(first), path);
  }
}

async function talk(at: net.NetConnectOpts, head: string, bytes: number): Promise<object> {
  const socket = net.connect({ ...at, noDelay: true }).on("error", () => undefined);
  let received = "";
  socket.on("data", (chunk: Buffer) => {
    received += chunk;
  });
  const closed = once(socket, "close").then(() => true);
  socket.write(head);
  for (let sent = 0; sent < bytes && !socket.destroyed; sent++) {
    socket.write("x");
    if (await Promise.race([closed, sleep(BYTE_MS, false)])) break;
  }
  await closed;
  return { received };
}

async function leaveUnread(at: net.NetConnectOpts, count: number, path: string): Promise<object> {
  const sockets = Array.from({ length: count }, () => {
    const socket = net.connect(at).on("error", () => undefined);
    // Without a listener for data nothing is read but what the kernel takes.
    socket.write(`GET ${path} HTTP/1.1\r\nHost: api.shop\r\n\r\n`);
    return socket;
  });
  await sleep(UNREAD_MS);
  const open = sockets.filter((socket) => !socket.destroyed).length;
  for (const socket of sockets) socket.destroy();
  return { open };
}
