/**
 * Runs in test pods: an HTTP server that tells who it is and what it was asked.
 *
 * usage: node echo-server.ts PORT VERSION
 */
import { createServer } from "node:http";
import { hostname } from "node:os";

const [port, version] = process.argv.slice(2);

const server = createServer((request, response) => {
  const { method, url, headers } = request;
  const answer = { pod: hostname(), version, method, url, headers };
  request.resume();
  response.setHeader("content-type", "application/json").end(`${JSON.stringify(answer)}\n`);
});
server.keepAliveTimeout = 75_000;
server.listen(Number(port), "::");

// As the first process of its container it would otherwise take no notice of a signal. Who comes
// between the signal and the end of its endpoint is still answered.
process.on("SIGTERM", () => setTimeout(() => process.exit(0), 3_000));
