import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { TarWriter } from "./tar.ts";

describe("a tar that depends on nothing but its content", () => {
  const dir = mkdtempSync(join(tmpdir(), "tar-"));
  after(() => rmSync(dir, { recursive: true }));

  it("is read by the system's tar: long names, long links, modes, content", () => {
    const long = `${"folder/".repeat(30)}${"n".repeat(120)}`;
    const source = join(dir, "source");
    writeFileSync(source, "out of a file");
    const archive = join(dir, "all.tar");
    const tar = new TarWriter(archive);
    tar.directory("dir", 0o1777);
    tar.content("dir/plain", 0o644, Buffer.from("hello"));
    tar.content(`${"a".repeat(90)}/${"b".repeat(90)}`, 0o755, Buffer.from("split"));
    tar.content(long, 0o644, Buffer.from("long"));
    tar.symlink("link", "dir/plain");
    tar.symlink("far", `${"x/".repeat(90)}end`);
    tar.file("copied", 0o600, source);
    const { sha256, size } = tar.close();

    const bytes = readFileSync(archive);
    assert.equal(size, bytes.length);
    assert.equal(sha256, createHash("sha256").update(bytes).digest("hex"));
    const tool = (...args: string[]) => execFileSync("tar", args, { encoding: "utf8" });
    const listing = tool("--numeric-owner", "--utc", "-tvf", archive);
    assert.match(listing, /^drwxrwxrwt 0\/0 +0 1970-01-01 00:00 dir\/$/m);
    assert.match(listing, /^-rw------- 0\/0 +13 1970-01-01 00:00 copied$/m);
    assert.match(listing, /^lrwxrwxrwx .* link -> dir\/plain$/m);
    assert.match(listing, /far -> (x\/){90}end$/m);
    assert.equal(tool("-xOf", archive, long), "long");
    assert.equal(tool("-xOf", archive, `${"a".repeat(90)}/${"b".repeat(90)}`), "split");
    assert.equal(tool("-xOf", archive, "copied"), "out of a file");
  });
});
