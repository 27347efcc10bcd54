/** Proves, before a case is measured, that its requests go where and through what they should. */
import { setTimeout as sleep } from "node:timers/promises";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import type { Case, Protocol } from "./cases.ts";
import { unroutedPath } from "./configuration.ts";
import { GRPC_HEADERS, urlOf } from "./load.ts";
import { expectedPeer, MESSAGE_FILE, type Target } from "./topology.ts";

const TIMEOUT_MS = 60_000;
const RETRY_MS = 200;

/** Resolves when the case is in force for the protocol; throws WRONG_PATH where it never is. */
export async function untilInForce(
  cluster: TestCluster,
  name: Case,
  protocol: Protocol,
  target: Target,
): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  let seen = "nothing";
  while (performance.now() < deadline) {
    seen = await wrong(cluster, name, protocol, target).catch(describeError);
    if (seen === "") return;
    await sleep(RETRY_MS);
  }
  throw new MeshError("WRONG_PATH", `${protocol} requests of ${name} are not as wanted: ${seen}`, {
    hint: "see the logs of the waypoint and of the ztunnels",
  });
}

/** What is not yet as it should be; empty where all is. */
async function wrong(
  cluster: TestCluster,
  name: Case,
  protocol: Protocol,
  target: Target,
): Promise<string> {
  const good = await ask(cluster, protocol, target);
  const peer = await expectedPeer(cluster, name);
  if (!/^HTTP\/\S+ 200\b/m.test(good)) return `answered with ${good.split("\n", 1)[0]}`;
  if (!good.includes(`x-peer: ${peer}`)) return `the server's peer is not ${peer}: ${good}`;
  if (protocol === "grpc" && !/^grpc-status: 0/m.test(good)) return `no grpc-status in ${good}`;
  const refused = await refusal(cluster, name, protocol, target);
  return refused === undefined || refused ? "" : "what should be refused is not";
}

/** Whether the request that the case's configuration refuses is refused; undefined without one. */
async function refusal(
  cluster: TestCluster,
  name: Case,
  protocol: Protocol,
  target: Target,
): Promise<boolean | undefined> {
  if (name === "policies") {
    const answer = await ask(cluster, protocol, { ...target, headers: [] });
    return refuses(answer, 403, 7);
  }
  if (name === "routes") {
    const answer = await ask(cluster, protocol, { ...target, path: unroutedPath });
    return refuses(answer, 404, 12);
  }
  return undefined;
}

/** By the status, or by gRPC's for the same. */
function refuses(answer: string, status: number, grpcStatus: number): boolean {
  return new RegExp(`^HTTP/\\S+ ${status}\\b|^grpc-status: ${grpcStatus}\\b`, "m").test(answer);
}

/** The head of the response, its trailers included, a line each. */
async function ask(cluster: TestCluster, protocol: Protocol, target: Target): Promise<string> {
  const headers = [...target.headers, ...(protocol === "grpc" ? GRPC_HEADERS : [])];
  const argv = [
    ...(protocol === "grpc" ? NGHTTP : CURL),
    ...(protocol === "http2" ? ["--http2-prior-knowledge"] : []),
    ...headers.flatMap((header) => ["-H", header]),
    urlOf(target, protocol),
  ];
  const { code, stdout, stderr } = await cluster.exec(target.client, argv);
  if (code !== 0) throw new MeshError("NO_ANSWER", stderr.trim());
  const lines = stdout.replaceAll("\r", "").replaceAll(/^.* recv \(stream_id=\d+\) /gm, "");
  return lines.replaceAll(/^:status: /gm, "HTTP/2 ");
}

const CURL = ["curl", "-sS", "--max-time", "3", "-o", "/dev/null", "-D", "-"];
/** Shows trailers, which curl keeps to itself. */
const NGHTTP = ["nghttp", "--no-dep", "-nv", "-t", "3", "-d", MESSAGE_FILE];
