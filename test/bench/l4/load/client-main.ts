/**
 * The bench's load generator: one load per process; see load-messages.ts for options and output.
 */
import { writeSync } from "node:fs";
import { describeError } from "#common/runtime/errors.ts";
import { runConnects, runHold } from "./connection-load.ts";
import { type LoadMessage, type LoadResult, parseLoadArguments } from "./load-messages.ts";
import { runRequests } from "./request-load.ts";

// Written at once: the loads never return to the event loop.
const say = (message: LoadMessage): void => {
  writeSync(1, `${JSON.stringify(message)}\n`);
};

try {
  const options = parseLoadArguments(process.argv.slice(2));
  const onMeasuring = () => say({ event: "measuring" });
  const run = (): LoadResult => {
    if (options.kind === "connect") return runConnects(options, onMeasuring);
    if (options.kind === "hold") return runHold(options, onMeasuring);
    return runRequests(options, onMeasuring);
  };
  say({ event: "done", result: run() });
} catch (error) {
  writeSync(2, `${describeError(error)}\n`);
  process.exitCode = 1;
}
