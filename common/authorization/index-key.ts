/**
 * Keys of the rule index. A key is `<space>|<value>`; a space says how to cut a connection's value
 * so that equal keys mean a hit: whole, first n characters, last n characters, or first n bits of
 * an address.
 */
import type { ConnectionView } from "./connection-view.ts";
import type { KeyProbe } from "./rule-index.ts";

type TextSubject = "principal" | "namespace" | "serviceAccount" | "port";
type AddressSubject = "sourceIp" | "destinationIp";

/** How a connection's key in one space is found. */
type ConnectionProbe = KeyProbe<ConnectionView>;

export function exactKey(subject: TextSubject, value: string): string {
  return `${subject} =|${value}`;
}

export function prefixKey(subject: TextSubject, value: string): string {
  return `${subject} ^${value.length}|${value}`;
}

export function suffixKey(subject: TextSubject, value: string): string {
  return `${subject} $${value.length}|${value}`;
}

/** `bytes` has 4 or 16 elements; bits beyond `length` do not count. */
export function cidrKey(subject: AddressSubject, bytes: Uint8Array, length: number): string {
  return `${subject} ${bytes.length}/${length}|${maskedBits(bytes, length)}`;
}

/** The part of a key before its value. */
export function keySpace(key: string): string {
  return key.slice(0, key.indexOf("|"));
}

/** How to find a connection's key in a space that `keySpace` gave. */
export function keyProbe(space: string): ConnectionProbe {
  const [subject = "", cut = ""] = space.split(" ");
  if (subject === "sourceIp" || subject === "destinationIp") return addressProbe(subject, cut);
  const value = textOf(subject as TextSubject);
  const length = Number(cut.slice(1));
  switch (cut[0]) {
    case "^":
      return cutProbe(space, value, length, (text) => text.slice(0, length));
    case "$":
      return cutProbe(space, value, length, (text) => text.slice(text.length - length));
    default:
      return cutProbe(space, value, 0, (text) => text);
  }
}

function cutProbe(
  space: string,
  value: (view: ConnectionView) => string | undefined,
  minLength: number,
  cut: (text: string) => string,
): ConnectionProbe {
  return (view) => {
    const text = value(view);
    return text === undefined || text.length < minLength ? undefined : `${space}|${cut(text)}`;
  };
}

function textOf(subject: TextSubject): (view: ConnectionView) => string | undefined {
  return subject === "port" ? (view) => String(view.port) : (view) => view[subject];
}

function addressProbe(subject: AddressSubject, cut: string): ConnectionProbe {
  const [size, length] = cut.split("/").map(Number) as [number, number];
  return (view) => {
    const bytes = subject === "sourceIp" ? view.sourceBytes : view.destinationBytes;
    return bytes.length === size ? cidrKey(subject, bytes, length) : undefined;
  };
}

function maskedBits(bytes: Uint8Array, length: number): string {
  const whole = length >> 3;
  const rest = length & 7;
  let text = "";
  for (let i = 0; i < whole; i++) text += `${bytes[i] ?? 0}.`;
  return rest === 0 ? text : text + ((bytes[whole] ?? 0) & (0xff << (8 - rest)));
}
