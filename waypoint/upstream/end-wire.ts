/** A `Wire` over an end of a connection. */
import type { Duplex } from "node:stream";
import type { End } from "#common/transport/end.ts";
import { EndDuplex } from "#common/transport/end-duplex.ts";
import type { Wire } from "../http/engine.ts";

export class EndWire implements Wire {
  readonly #end: End;

  constructor(end: End) {
    this.#end = end;
  }

  asEnd(): End {
    return this.#end;
  }

  asDuplex(): Duplex {
    return new EndDuplex(this.#end);
  }
}
