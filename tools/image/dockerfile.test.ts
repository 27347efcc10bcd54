/** The Dockerfile and the tar are two ways to one image: what both say has to be the same. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ENTRYPOINT, ENVIRONMENT, LABELS, PACKAGES, USER_ID } from "./contents.ts";

const ROOT = join(import.meta.dirname, "../..");

interface Instruction {
  readonly name: string;
  readonly value: string;
}

/** The instructions of each stage, in order, continued lines joined. */
function stages(text: string): Instruction[][] {
  const lines = text
    .replace(/^#.*\n/gm, "")
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "");
  const all: Instruction[][] = [];
  for (const line of lines) {
    const [, name = "", value = ""] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    if (name === "FROM") all.push([]);
    all.at(-1)?.push({ name, value });
  }
  return all;
}

describe("the Dockerfile", () => {
  const [build = [], image = []] = stages(readFileSync(join(ROOT, "Dockerfile"), "utf8"));
  const values = (name: string): string[] =>
    image.filter((instruction) => instruction.name === name).map(({ value }) => value);
  const pairs = (name: string) =>
    Object.fromEntries(values(name).map((value) => value.split(/=(.*)/s).slice(0, 2)));

  it("stands on Debian's slim image and installs the same packages", () => {
    assert.deepEqual(values("FROM"), ["debian:bookworm-slim"]);
    const install = values("RUN").find((value) => value.includes("apt-get install")) ?? "";
    const words = /--no-install-recommends +([^&]*)/.exec(install)?.[1]?.trim().split(/ +/) ?? [];
    assert.deepEqual(words.sort(), Object.keys(PACKAGES).sort());
  });

  it("says the same environment, labels, user and entrypoint", () => {
    assert.deepEqual(pairs("ENV"), { ...ENVIRONMENT });
    assert.deepEqual(pairs("LABEL"), { ...LABELS });
    assert.deepEqual(values("USER"), [`${USER_ID}:${USER_ID}`]);
    assert.deepEqual(values("ENTRYPOINT"), [JSON.stringify([ENTRYPOINT])]);
  });

  it("takes the programs from the same code, and nothing beside it", () => {
    assert.deepEqual(values("COPY"), ["--from=build /out/ /"]);
    const scripts = [...build, ...image].flatMap(
      ({ value }) => value.match(/tools\/\S+\.ts/g) ?? [],
    );
    assert.deepEqual(scripts, ["tools/image/stage-main.ts", "tools/image/bake-main.ts"]);
    for (const script of scripts) assert.ok(existsSync(join(ROOT, script)), script);
  });
});
