/** How the tour is told: chapters, the commands that are run, their output, and what was proved. */
import { MeshError } from "#common/runtime/errors.ts";
import type { CommandResult, Stage } from "./stage.ts";

/** Lines shown of one command's output; the rest is counted. */
const MAX_LINES = 12;
const MAX_COLUMNS = 110;
/** Rows of tables are left whole up to this width. */
const WRAP_FROM_COLUMNS = 170;

export class Narrator {
  readonly #stage: Stage;
  readonly #print: (text: string) => void;
  readonly #bold: (text: string) => string;
  #chapters = 0;
  #proved = 0;

  constructor(stage: Stage, print: (text: string) => void, color: boolean) {
    this.#stage = stage;
    this.#print = print;
    this.#bold = color ? (text) => `\u001b[1m${text}\u001b[0m` : (text) => text;
  }

  get proved(): number {
    return this.#proved;
  }

  chapter(title: string): void {
    this.#chapters++;
    this.#print(`\n${this.#bold(`${this.#chapters}. ${title}`)}\n`);
  }

  say(text: string): void {
    this.#print(`   ${text}\n`);
  }

  /** Runs `meshctl ARGS` and shows both the command and what it printed. */
  async meshctl(...args: string[]): Promise<CommandResult> {
    this.#command(["meshctl", ...args]);
    return this.#show(await this.#stage.meshctl(args));
  }

  /** Runs a command in a node's network and shows the lines of its output that `filter` takes. */
  async onNode(
    node: string,
    argv: readonly string[],
    filter: (line: string) => boolean,
  ): Promise<CommandResult> {
    this.#command([`(on ${node})`, ...argv]);
    const { exitCode, output } = await this.#stage.onNode(node, argv);
    return this.#show({ exitCode, output: output.split("\n").filter(filter).join("\n") });
  }

  /** Runs a command in a pod's network and shows both. */
  async onPod(namespace: string, pod: string, argv: readonly string[]): Promise<CommandResult> {
    this.#command([`(in the network of ${namespace}/${pod})`, ...argv]);
    return this.#show(await this.#stage.onPod(namespace, pod, argv));
  }

  /** Shows lines that came from elsewhere, e.g. a log or a packet capture. */
  lines(source: string, lines: readonly string[]): void {
    this.#command([source]);
    this.#show({ exitCode: 0, output: lines.join("\n") });
  }

  /** States what was just seen. Throws MeshError DEMO_CLAIM_FAILED where it was not. */
  proves(claim: string, holds: boolean): void {
    if (!holds) {
      throw new MeshError(
        "DEMO_CLAIM_FAILED",
        `this should have been seen, and was not: ${claim}`,
        {
          hint: "this is a bug: please report it with the output above",
        },
      );
    }
    this.#proved++;
    this.#print(`   ${this.#bold("=>")} ${claim}\n`);
  }

  #command(argv: readonly string[]): void {
    const words = argv.map((word) => (/^[\w@%+=:,./()…-]+( .*)?$/.test(word) ? word : `'${word}'`));
    this.#print(`   $ ${words.join(" ")}\n`);
  }

  #show(result: CommandResult): CommandResult {
    if (result.output.trim() === "") return result;
    const lines = result.output.trimEnd().split("\n");
    const shown = lines.length > MAX_LINES + 1 ? lines.slice(0, MAX_LINES) : lines;
    for (const line of shown.flatMap(wrap)) this.#print(`     ${line}\n`);
    const left = lines.length - shown.length;
    if (left > 0) this.#print(`     … ${left} more lines\n`);
    return result;
  }
}

/** A long line in pieces, broken at spaces, the later ones indented. */
function wrap(line: string): string[] {
  if (line.length <= WRAP_FROM_COLUMNS) return [line];
  const pieces: string[] = [];
  let current = "";
  for (const word of line.replaceAll("\t", " ").split(/(?<= )/)) {
    if (current.trim() !== "" && current.length + word.length > MAX_COLUMNS) {
      pieces.push(current.trimEnd());
      current = "    ";
    }
    current += word;
  }
  return [...pieces, current.trimEnd()];
}
