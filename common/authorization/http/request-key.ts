/**
 * Keys of the rule index for requests: `<how> <subject>` and, after a zero character, the value. A
 * request's own keys are made of what it possibly is, so that no rule is missed.
 */
import type { Cidr } from "#common/model/ip.ts";
import { cidrKey } from "../index-key.ts";
import type { KeyProbe } from "../rule-index.ts";
import type { RequestView, Texts } from "./request-view.ts";
import type { TextSubject } from "./subject.ts";
import type { TextMatch } from "./text-match.ts";

const SEPARATOR = "\0";

type Cut = "=" | "^" | "$";

/** How the keys of a space are found; spaces are known once a rule was filed under them. */
export class RequestSpaces {
  readonly #probes = new Map<string, KeyProbe<RequestView>>();

  /** Undefined where a value is met by any text at all. */
  textKeys(subject: TextSubject, matches: readonly TextMatch[]): readonly string[] | undefined {
    const keys: string[] = [];
    for (const match of matches) {
      if (match.kind === "any") return undefined;
      if (match.kind === "template") keys.push(this.#key(subject, "^", match.template.prefix));
      else keys.push(this.#key(subject, CUTS[match.kind], match.value));
    }
    return keys;
  }

  portKeys(ports: readonly number[]): readonly string[] {
    this.#probes.set("port", portProbe);
    return ports.map((port) => `port${SEPARATOR}${port}`);
  }

  sourceKeys(blocks: readonly Cidr[]): readonly string[] {
    return blocks.map(({ bytes, length }) => {
      const key = sourceKey(bytes, length);
      const size = bytes.length;
      this.#probes.set(requestKeySpace(key), ({ sourceBytes }) =>
        sourceBytes.length === size ? sourceKey(sourceBytes, length) : undefined,
      );
      return key;
    });
  }

  probe(space: string): KeyProbe<RequestView> {
    return this.#probes.get(space) ?? (() => undefined);
  }

  #key(subject: TextSubject, cut: Cut, value: string): string {
    const space = cut === "=" ? `= ${subject.id}` : `${cut}${value.length} ${subject.id}`;
    if (!this.#probes.has(space)) this.#probes.set(space, textProbe(space, subject, cut, value));
    return `${space}${SEPARATOR}${value}`;
  }
}

const CUTS = { exact: "=", prefix: "^", suffix: "$" } as const;

/** The part of a key before its value. */
export function requestKeySpace(key: string): string {
  return key.slice(0, key.indexOf(SEPARATOR));
}

function sourceKey(bytes: Uint8Array, length: number): string {
  return cidrKey("sourceIp", bytes, length).replace("|", SEPARATOR);
}

function portProbe(view: RequestView): string {
  return `port${SEPARATOR}${view.facts.destinationPort}`;
}

function textProbe(
  space: string,
  subject: TextSubject,
  cut: Cut,
  { length }: string,
): KeyProbe<RequestView> {
  const head = `${space}${SEPARATOR}`;
  const keyOf = (text: string): string | undefined => {
    if (cut === "=") return head + text;
    if (text.length < length) return undefined;
    return head + (cut === "^" ? text.slice(0, length) : text.slice(text.length - length));
  };
  return (view) => {
    const texts: Texts = subject.possible(view);
    const [only] = texts;
    if (texts.length === 1 && only !== undefined) return keyOf(only);
    return texts.flatMap((text) => keyOf(text) ?? []);
  };
}
