/** Writes down what shrank below its entry in test/house/ratchet.json. It never raises a number. */
import { lowerRatchet, readRatchet, writeRatchet } from "../test/house/ratchet.ts";
import { measureSizes } from "../test/house/sizes.ts";
import { withParsedFiles } from "../test/house/syntax.ts";
import { listFiles, ROOT } from "../test/house/tree.ts";

const actual = withParsedFiles(ROOT, (parsed) => measureSizes(listFiles(), parsed));
const before = readRatchet();
const after = lowerRatchet(actual, before);
writeRatchet(after);
const changed = JSON.stringify(before) !== JSON.stringify(after);
console.log(changed ? "test/house/ratchet.json is lowered: commit it" : "nothing to lower");
