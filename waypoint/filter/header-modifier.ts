/** Adds, sets and removes headers as a route says. */
import type { HeaderModifier } from "#common/model/waypoint/http-route.ts";
import type { HeaderList } from "../http/header-list.ts";

/**
 * Headers that frame the message or name its host: a route that wrote them could make one request
 * look like two. The host is changed by a rewrite.
 */
const FRAMING = new Set([
  "connection",
  "content-length",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const VALUE = /^[^\0\r\n]*$/;

/** What of a modifier may be done; each is looked through once. */
const checked = new WeakMap<HeaderModifier, HeaderModifier>();

/**
 * Changes `headers` in place: removes, then sets, then adds. Headers of the message's framing,
 * pseudo-headers and values with line ends are left out.
 */
export function modifyHeaders(headers: HeaderList, modifier: HeaderModifier | undefined): void {
  if (modifier === undefined) return;
  const { remove, set, add } = allowed(modifier);
  for (const name of remove) headers.delete(name);
  for (const { name, value } of set) headers.set(name, value);
  for (const { name, value } of add) headers.append(name, value);
}

function allowed(modifier: HeaderModifier): HeaderModifier {
  let found = checked.get(modifier);
  if (found === undefined) {
    const mayWrite = ({ name, value }: { name: string; value: string }): boolean =>
      isName(name) && VALUE.test(value);
    found = {
      remove: modifier.remove.filter(isName),
      set: modifier.set.filter(mayWrite),
      add: modifier.add.filter(mayWrite),
    };
    checked.set(modifier, found);
  }
  return found;
}

function isName(name: string): boolean {
  return NAME.test(name) && !FRAMING.has(name);
}
