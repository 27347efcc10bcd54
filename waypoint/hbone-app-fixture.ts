/** For tests: an application on loopback, and in front of it what stands for its pod's ztunnel. */
import { once } from "node:events";
import net from "node:net";
import { HBONE_PORT } from "#common/model/ports.ts";
import { HboneListener } from "#test/support/hbone-listener.ts";
import { issueLeaf, type TestCa } from "#test/support/hbone-peer.ts";

export interface HboneApp {
  /** A loopback address of this process's own. */
  readonly ip: string;
  /** Of the application; HBONE is on 15008. */
  readonly port: number;
  readonly hbone: HboneListener;
  /** Headers of each CONNECT that came, in order. */
  readonly connects: Readonly<Record<string, unknown>>[];
  readonly stop: () => void;
}

/** `account` is `<namespace>/<service account>` of its certificate. */
export async function startHboneApp(
  ca: TestCa,
  account: string,
  onConnection: (socket: net.Socket) => void,
): Promise<HboneApp> {
  const ip = nextLoopback();
  const app = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    onConnection(socket);
  });
  const port = await listen(app, ip, 0);
  const connects: Record<string, unknown>[] = [];
  const [namespace = "", serviceAccount = ""] = account.split("/");
  const hbone = new HboneListener({
    certificate: issueLeaf(ca, { namespace, serviceAccount }),
    onStream: (stream, headers) => {
      connects.push({ ...headers });
      const upstream = net.connect({ host: ip, port, allowHalfOpen: true, noDelay: true }, () => {
        stream.respond({ ":status": 200 });
        stream.pipe(upstream).pipe(stream);
      });
      upstream.on("error", () => stream.close());
      stream.once("close", () => upstream.destroy());
    },
  });
  const node = net.createServer({ noDelay: true }, (socket) => hbone.accept(socket));
  await listen(node, ip, HBONE_PORT);
  const stop = (): void => {
    hbone.reset(hbone.behaviour);
    node.close();
    app.close();
  };
  return { ip, port, hbone, connects, stop };
}

let loopbacks = 0;

/** Each process has its own, so that test files that run at once never share a port. */
function nextLoopback(): string {
  loopbacks++;
  return `127.${101 + loopbacks}.${(process.pid >> 8) & 255}.${process.pid & 255}`;
}

async function listen(server: net.Server, host: string, port: number): Promise<number> {
  server.listen(port, host);
  await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
}
