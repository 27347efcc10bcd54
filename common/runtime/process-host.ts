/** What a process gives to the program that runs in it. */
import { VERSION } from "./version.ts";

/** Where lines go. */
export interface Output {
  readonly write: (lines: string) => void;
  /** What of that waits because nobody reads it. */
  readonly unreadBytes: () => number;
}

/** Its environment, its output, its end. */
export interface Host extends Output {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly exit: (code: number) => void;
}

/** This process's own. */
export function processHost(): Host {
  return {
    env: process.env,
    version: VERSION,
    write: (lines) => void process.stdout.write(lines),
    unreadBytes: () => process.stdout.writableLength,
    exit: (code) => process.exit(code),
  };
}
