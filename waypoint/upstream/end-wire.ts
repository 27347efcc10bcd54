/** A `Wire` over an end of a connection. */
import type { Duplex } from "node:stream";
import type { End } from "#common/transport/end.ts";
import { EndDuplex } from "#common/transport/end-duplex.ts";
import type { OnRetired } from "#common/transport/hbone-tunnel.ts";
import type { Wire } from "../http/engine.ts";

export class EndWire implements Wire {
  readonly #end: End;
  readonly #onRetired: OnRetired | undefined;

  /** Without `onRetired` it can be used for as long as it stands. */
  constructor(end: End, onRetired?: OnRetired) {
    this.#end = end;
    this.#onRetired = onRetired;
  }

  asEnd(): End {
    return this.#end;
  }

  asDuplex(): Duplex {
    return new EndDuplex(this.#end);
  }

  onRetired(listener: () => void): () => void {
    return this.#onRetired?.(listener) ?? NEVER;
  }
}

const NEVER = (): void => undefined;
