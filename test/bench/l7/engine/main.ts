/**
 * The HTTP/1.1 engines of the waypoint, nginx and haproxy as plain reverse proxies (1 KiB,
 * keep-alive, one process each). Prints JSON; `npm run bench:l7` measures them with the rest.
 * Options: `--rounds N --seconds N --connections N --contenders a,b`. Needs nginx, haproxy, wrk.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { contendersOf, UPSTREAM_PORT, upstreamServer } from "./contenders.ts";
import { engineBench, summarise } from "./engine-bench.ts";
import { runEngineProxy } from "./engine-proxy.ts";

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
    const upstream = upstreamServer(folder, UPSTREAM_PORT);
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
