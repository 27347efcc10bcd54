/** An upstream connection of ours whose peer a test plays, frame by frame. */
import { once } from "node:events";
import net from "node:net";
import type { UpstreamConnection } from "../engine.ts";
import { RELAY_LIMITS, wireOf } from "../relay-fixture.ts";
import { http2Codec } from "./h2-codec.ts";
import { PREFACE, RawPeer } from "./raw-peer-fixture.ts";

export class RawUpstream {
  readonly connection: UpstreamConnection;
  readonly peer: RawPeer;

  private constructor(connection: UpstreamConnection, peer: RawPeer) {
    this.connection = connection;
    this.peer = peer;
  }

  /** `hello`: the first frames that the peer sends. */
  static async open(hello: Buffer): Promise<RawUpstream> {
    const listening = net.createServer();
    listening.listen(0, "127.0.0.1");
    await once(listening, "listening");
    const { port } = listening.address() as net.AddressInfo;
    const accepted = once(listening, "connection");
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    const handlers = { onIdle: () => undefined, onClosed: () => undefined };
    const connection = http2Codec.connect(wireOf(socket), RELAY_LIMITS, handlers);
    const [theirs] = (await accepted) as [net.Socket];
    listening.close();
    return new RawUpstream(connection, new RawPeer(theirs, hello, PREFACE.length));
  }

  close(): void {
    this.connection.destroy();
    this.peer.socket.destroy();
  }
}
