/** Sends back what comes, on any number of connections, with one system call each way. */
import type { SocketAddress } from "#common/model/ip.ts";
import { SocketPoller } from "#ztunnel/sys/socket-poller.ts";

const BACKLOG = 4096;
const BUFFER_BYTES = 64 * 1024;
const EVENTS_MAX = 512;

/** Never returns: the process is ended from outside. */
export function serveEcho(address: SocketAddress): never {
  const poller = new SocketPoller(EVENTS_MAX);
  const listener = poller.listen(address, BACKLOG);
  const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  for (;;) {
    const count = poller.wait(-1);
    for (let i = 0; i < count; i++) {
      const fd = poller.fdAt(i);
      if (fd === listener) acceptAll(poller, listener);
      else echo(poller, fd, buffer);
    }
  }
}

function acceptAll(poller: SocketPoller, listener: number): void {
  while (poller.accept(listener) >= 0);
}

/** A client that does not read its answers is none of ours: it is closed rather than waited for. */
function echo(poller: SocketPoller, fd: number, buffer: Buffer): void {
  const bytes = poller.receive(fd, buffer);
  if (bytes < 0) return;
  if (bytes === 0 || poller.send(fd, buffer, bytes) !== bytes) poller.close(fd);
}
