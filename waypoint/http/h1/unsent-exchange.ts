/** A request that was not sent, because the connection or the message did not allow it. */
import type { ClientExchange, ClientExchangeEvents, ExchangeError } from "../exchange.ts";

export class UnsentExchange implements ClientExchange {
  readonly sent = false;
  readonly answered = false;

  constructor(error: ExchangeError, events: ClientExchangeEvents) {
    setImmediate(() => events.onClosed(error));
  }

  write(): boolean {
    return true;
  }

  end(): void {
    return;
  }

  resume(): void {
    return;
  }

  cancel(): void {
    return;
  }
}
