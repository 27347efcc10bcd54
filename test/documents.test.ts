/** Documents tell the truth where it can be looked up: links, paths, names and tables. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { listFiles, ROOT, readText } from "./house/tree.ts";

const pages = listFiles().filter((path) => path.endsWith(".md"));
const guide = (name: string): string => readText(`docs/${name}.md`);
const guides = ["install", "upgrade", "uninstall", "admission", "control-plane"].map(guide);

/** Without blocks of code, whose brackets are no links. */
const prose = (text: string): string => text.replace(/^( *)```[\s\S]*?^\1```$/gm, "");

/** As GitHub makes them of headings. */
function anchors(text: string): Set<string> {
  const headings = [...prose(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** The first cells of the rows that follow a table's head. */
function firstCells(text: string, head: string): string[] {
  const rows = text.slice(text.indexOf(head)).split("\n").slice(2);
  const end = rows.findIndex((row) => !row.startsWith("|"));
  return rows.slice(0, end).flatMap((row) => {
    const cell = row.split("|")[1] ?? "";
    return [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
  });
}

describe("documents", () => {
  for (const path of pages) {
    test(`${path} links to what is there`, () => {
      const links = [...prose(readText(path)).matchAll(/\]\(([^)\s]+)\)/g)];
      const broken = links.flatMap(([, link = ""]) => {
        if (/^[a-z]+:/.test(link)) return [];
        const [file = "", anchor] = link.split("#");
        const target = file === "" ? path : normalize(join(dirname(path), file));
        if (!existsSync(join(ROOT, target))) return [link];
        return anchor === undefined || anchors(readText(target)).has(anchor) ? [] : [link];
      });
      assert.deepEqual(broken, []);
    });
  }

  test("name manifests, images of scripts and metrics that exist", () => {
    const text = guides.join("\n");
    const paths = [...text.matchAll(/\bmanifests(?:\/[a-z][a-z-]*)+/g)].map(([path]) => path);
    assert.deepEqual(
      paths.filter((path) => !existsSync(join(ROOT, path))),
      [],
    );
    const code = listFiles()
      .filter((path) => /^(common|istiod-lite|waypoint|ztunnel)\/.*(?<!\.test)\.ts$/.test(path))
      .map(readText)
      .join("\n");
    const metrics = [...text.matchAll(/`((?:ambient|pilot|galley|citadel|istio)_[a-z_]+)`/g)];
    assert.ok(metrics.length > 8);
    assert.deepEqual(
      metrics.map(([, name = ""]) => name).filter((name) => !code.includes(`"${name}"`)),
      [],
    );
  });

  test("name every overlay, and every value of the Helm chart", () => {
    const overlays = firstCells(guide("install"), "| overlay |");
    assert.deepEqual(overlays.sort(), readdirSync(join(ROOT, "manifests/overlays")).sort());
    const values = parse(readText("manifests/chart/values.yaml")) as Record<string, object>;
    const rows = guide("install").slice(guide("install").indexOf("| value |"));
    for (const [part, settings] of Object.entries(values)) {
      for (const name of Object.keys(settings)) {
        const isNamed = rows.includes(`\`${part}.${name}\``) || rows.includes(`\`.${name}\``);
        assert.ok(isNamed, `${part}.${name}`);
      }
    }
  });

  test("give ztunnel the capabilities that its manifest gives it", () => {
    const { spec } = parse(readText("manifests/base/ztunnel/daemon-set.yaml"));
    const { add } = spec.template.spec.containers[0].securityContext.capabilities;
    const capabilities = (cells: readonly string[]) =>
      cells.filter((cell) => /^[A-Z_]+$/.test(cell));
    assert.deepEqual(capabilities(firstCells(guide("install"), "| ztunnel has |")), add);
    assert.deepEqual(capabilities(firstCells(guide("nodes"), "| capability |")), add);
  });
});
