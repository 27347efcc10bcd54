/** What node:http's messages need a hand with. */
import type { OutgoingMessage } from "node:http";
import { isSendable, mayTrail } from "../h1/field-names.ts";
import type { HeaderList } from "../header-list.ts";

/** Fields that cannot be carried are left out: the body has been sent. */
export function trailerFields(trailers: HeaderList): [name: string, value: string][] {
  const fields: [string, string][] = [];
  for (const [name, value] of trailers.entries()) {
    if (isSendable(name, value) && mayTrail(name)) fields.push([name, value]);
  }
  return fields;
}

/** Sends the head now. Node's `flushHeaders` would send what is beyond ASCII as UTF-8. */
export function flushHead(message: OutgoingMessage): void {
  message.write("", "latin1");
}
