/** For the Dockerfile: `stage-main.ts FOLDER` lays out there what is not Debian's. */
import { join } from "node:path";
import { layOutPrograms } from "./app-files.ts";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: node tools/image/stage-main.ts FOLDER");
layOutPrograms(join(import.meta.dirname, "../.."), folder, process.arch);
