/** A measurement as a command: help, a run, a failure that says why, and results in a file. */
import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import { dirname } from "node:path";
import { failureText } from "#common/runtime/errors.ts";
import { VERSION } from "#common/runtime/version.ts";

export interface BenchCommand<Options> {
  /** What errors call it: "bench:l4". */
  readonly name: string;
  readonly usage: string;
  /** Undefined where help is asked for. */
  readonly parse: (args: readonly string[]) => Options | undefined;
  /** Resolves with the exit status, 0 unless it says one. */
  readonly run: (options: Options) => Promise<number | undefined> | Promise<void>;
  /** Of what could not be run to its end. @default 1 */
  readonly failureStatus?: number;
}

export async function runBenchCommand<Options>(command: BenchCommand<Options>): Promise<void> {
  const { name, usage, parse, run, failureStatus = 1 } = command;
  try {
    const options = parse(process.argv.slice(2));
    if (options === undefined) process.stdout.write(`${usage}\n`);
    else process.exitCode = (await run(options)) ?? 0;
  } catch (error) {
    process.stderr.write(failureText(name, error));
    process.exitCode = failureStatus;
  }
}

export function writeResults(path: string, results: object): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(results, undefined, 1)}\n`);
}

/** What the numbers were measured on, and with what. */
export function describeMachine() {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.cpus().length,
    memoryMb: Math.round(os.totalmem() / 2 ** 20),
    kernel: os.release(),
    node: process.versions.node,
    ambientMesh: VERSION,
    loadAverage: os.loadavg().map((load) => Number(load.toFixed(2))),
    measuredAt: new Date().toISOString(),
  };
}

/** Says lines with the time since it was made, `[ 1:05]`. */
export function stopwatch(): (line: string) => void {
  const started = performance.now();
  return (line) => {
    const seconds = Math.round((performance.now() - started) / 1000);
    const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    process.stdout.write(`[${clock.padStart(5)}] ${line}\n`);
  };
}
