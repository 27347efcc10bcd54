/** The beginnings of messages, the same for every version of HTTP. */
import type { HeaderList } from "./header-list.ts";

export type HttpVersion = "1.0" | "1.1" | "2";

export interface RequestHead {
  readonly version: HttpVersion;
  /** As it came: methods are case-sensitive. */
  readonly method: string;
  readonly scheme: string;
  /** Host and port as the client wrote them (`Host` or `:authority`); "" where there was none. */
  readonly authority: string;
  /** Origin-form: path and query, or `*`. */
  readonly path: string;
  /** Without `host` and pseudo-header fields, and without what is for one hop only. */
  readonly headers: HeaderList;
  /** Of an HTTP/1.1 upgrade: the protocol that is asked for ("websocket"). */
  readonly upgrade?: string;
}

export interface ResponseHead {
  readonly status: number;
  /** Without what is for one hop only. */
  readonly headers: HeaderList;
  /** Of a 101: the protocol that is switched to. */
  readonly upgrade?: string;
}

/** What is known of the length of a body before it has come. */
export type BodyLength =
  | { readonly kind: "none" | "unknown" }
  | { readonly kind: "known"; readonly bytes: number };
