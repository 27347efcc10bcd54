/**
 * `npm run bench:engines`: the HTTP/1.1 engines of the waypoint, nginx and haproxy as plain
 * reverse proxies (1 KiB, keep-alive, one process each). Prints JSON.
 * Options: `--rounds N --seconds N --connections N --contenders a,b`. Needs nginx, haproxy, wrk.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type Contender,
  engineProxy,
  haproxyProxy,
  nginxProxy,
  upstreamServer,
} from "./contenders.ts";
import { engineBench, summarise } from "./engine-bench.ts";
import { runEngineProxy } from "./engine-proxy.ts";

const FIRST_PORT = 18_400;

function contendersOf(names: readonly string[], folder: string): readonly Contender[] {
  return names.map((name, i) => {
    const port = FIRST_PORT + 1 + i;
    if (name === "nginx") return nginxProxy(folder, port, FIRST_PORT);
    if (name === "haproxy") return haproxyProxy(folder, port, FIRST_PORT);
    return engineProxy(name, port, FIRST_PORT);
  });
}

async function bench(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "5" },
      connections: { type: "string", default: "64" },
      contenders: { type: "string", default: "nginx,llhttp,http-proxy,undici,haproxy" },
    },
  });
  const plan = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    connections: Number(values.connections),
  };
  const folder = mkdtempSync(join(tmpdir(), "engine-bench-"));
  try {
    const upstream = upstreamServer(folder, FIRST_PORT);
    const contenders = contendersOf(values.contenders.split(","), folder);
    const samples = await engineBench(upstream, contenders, plan);
    console.log(JSON.stringify({ plan, summary: summarise(samples), samples }, null, 2));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [first, ...rest] = process.argv.slice(2);
if (first === "--serve") await runEngineProxy(rest);
else await bench(process.argv.slice(2));
