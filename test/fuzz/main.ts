/** `npm run fuzz`: every reader of untrusted input against inputs that nobody meant. */
import { failureText } from "#common/runtime/errors.ts";
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

try {
  const options = parseOptions(process.argv.slice(2), Math.random);
  if (options === undefined) console.log(USAGE);
  else process.exitCode = (await main(options)) > 0 ? 1 : 0;
} catch (error) {
  process.stderr.write(failureText("fuzz", error));
  process.exitCode = 2;
}
