/** One ztunnel that is connected to a CNI agent: requests one at a time, each with its answer. */
import { ZDS_VERSION, type ZdsRequest } from "#common/model/zds.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { decodeZdsAck, decodeZdsHello } from "#common/xds/decode-zds.ts";
import { encodeZdsRequest } from "#common/xds/encode-zds.ts";
import { ZDS_ANSWER_TIMEOUT_MS } from "#ztunnel/limits.ts";
import type { SeqpacketConnection } from "#ztunnel/sys/seqpacket.ts";

interface Waiter {
  resolve(message: Uint8Array): void;
  reject(error: Error): void;
}

export class ZdsConnection {
  readonly #connection: SeqpacketConnection;
  readonly #onGone: (connection: ZdsConnection) => void;
  #last: Promise<unknown>;
  #waiter: Waiter | undefined;
  #gone = false;

  /** `onGone` is called once, when the connection has ended, whoever ended it. */
  constructor(connection: SeqpacketConnection, onGone: (connection: ZdsConnection) => void) {
    this.#connection = connection;
    this.#onGone = onGone;
    // Nothing is asked before ztunnel has introduced itself.
    const hello = this.#answer("its hello").then(checkHello);
    this.#last = hello.catch(() => this.close());
    void this.#read();
  }

  /**
   * Sends a request, and a copy of `fd` with it; resolves with the error of the answer, "" for
   * none. Throws MeshError ZDS_GONE where the ztunnel does not answer (any more).
   */
  request(request: ZdsRequest, fd?: number): Promise<string> {
    const result = this.#last.then(async () => {
      if (this.#gone) throw gone("the ztunnel is no longer connected");
      const answer = this.#answer(`its answer to ${request.kind}`);
      // The end of the connection is told by either; neither may be an unhandled one.
      const [, message] = await Promise.all([
        this.#connection.send(encodeZdsRequest(request), fd),
        answer,
      ]);
      return decodeZdsAck(message);
    });
    this.#last = result.catch(() => this.close());
    return result;
  }

  close(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#connection.close();
    this.#waiter?.reject(gone("the ztunnel has gone"));
    this.#onGone(this);
  }

  /** A ztunnel says nothing unasked: one that does is let go. */
  async #read(): Promise<void> {
    try {
      for (;;) {
        const message = await this.#connection.receive();
        if (message === undefined || this.#waiter === undefined) break;
        this.#waiter.resolve(message.data);
      }
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
    } finally {
      this.close();
    }
  }

  #answer(what: string): Promise<Uint8Array> {
    return new Promise<Uint8Array>((resolve, reject) => {
      const late = () => this.#waiter?.reject(gone(`ztunnel did not send ${what} in time`));
      const timer = setTimeout(late, ZDS_ANSWER_TIMEOUT_MS);
      const settle = () => {
        clearTimeout(timer);
        this.#waiter = undefined;
      };
      this.#waiter = {
        resolve: (message) => {
          settle();
          resolve(message);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
    });
  }
}

function checkHello(message: Uint8Array): void {
  const version = decodeZdsHello(message);
  if (version === ZDS_VERSION) return;
  throw gone(`ztunnel speaks version ${version} of ZDS, this agent version ${ZDS_VERSION}`);
}

function gone(message: string): MeshError {
  return new MeshError("ZDS_GONE", message);
}
