/**
 * What an authorizer may do to headers: anything but how messages are framed and whose they are.
 */
import type { HeaderChange } from "#common/xds/external-auth-rpc.ts";
import type { HeaderList } from "../../http/header-list.ts";

/** Of one hop, or of the message's framing. Source: RFC 9110 7.6.1, RFC 9113 8.2.2. */
const UNTOUCHABLE: ReadonlySet<string> = new Set([
  "host",
  "connection",
  "content-length",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Whether a header may be set by somebody else's word; `name` in lower case. */
export function isSettable(name: string, value: string): boolean {
  return NAME.test(name) && VALUE.test(value) && !UNTOUCHABLE.has(name);
}

/** Changes that would break the message are left out. */
export function applyChanges(headers: HeaderList, changes: readonly HeaderChange[]): void {
  for (const { name, value, how } of changes) {
    if (!isSettable(name, value)) continue;
    const present = headers.has(name);
    if (how === "add" || (how === "add-if-absent" && !present)) headers.append(name, value);
    if (how === "set" || (how === "set-if-present" && present)) headers.set(name, value);
  }
}

export function removeHeaders(headers: HeaderList, names: readonly string[]): void {
  for (const name of names) if (!UNTOUCHABLE.has(name)) headers.delete(name);
}
