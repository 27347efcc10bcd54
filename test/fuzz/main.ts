/** `npm run fuzz`: every reader of untrusted input against inputs that nobody meant. */
import { runBenchCommand } from "#test/support/bench-command.ts";
import { writeCase } from "./cases.ts";
import { Fuzzer } from "./fuzzer.ts";
import { type FuzzOptions, parseOptions, USAGE } from "./options.ts";

/** Returns how many targets showed a fault. */
async function main({ targets, seconds, seed }: FuzzOptions): Promise<number> {
  await using fuzzer = new Fuzzer();
  let findings = 0;
  console.log(`seed ${seed}`);
  for (const target of targets) {
    const job = { target, seed, seconds, inputs: Number.POSITIVE_INFINITY };
    const { tried, outcomes, finding } = await fuzzer.run(job);
    console.log(`${target.padEnd(18)} ${tried} inputs, ${outcomes} sorts of answers`);
    if (finding === undefined) continue;
    findings++;
    const { index, input, error } = finding;
    console.log(`${target}: FAULT at input ${index}: ${error}`);
    console.log(`input: ${JSON.stringify(input.toString("latin1").slice(0, 500))}`);
    console.log(`kept as ${writeCase(target, input)}`);
    console.log(`again: npm run fuzz -- --target ${target} --seed ${seed}`);
  }
  return findings;
}

await runBenchCommand({
  name: "fuzz",
  usage: USAGE,
  parse: (args) => parseOptions(args, Math.random),
  run: async (options) => ((await main(options)) > 0 ? 1 : 0),
  failureStatus: 2,
});
