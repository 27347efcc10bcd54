/** What the preparation tells whoever waits for it. */

export type Say = (line: string) => void;

/** To standard error: standard output belongs to the test runner. */
export function sayOnStderr(line: string): void {
  process.stderr.write(`kubernetes: ${line}\n`);
}

/** Says what begins and how long it took. */
export async function timed<T>(say: Say, what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  say(`${what} ...`);
  const result = await work();
  say(`${what}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return result;
}
