/**
 * A client of an API server of a test's own: on this machine, in the clear, without credentials.
 */
import type { TestContext } from "node:test";
import { HttpKubeClient } from "./http-kube-client.ts";

/** Closed with the test. */
export function plainClient(t: Pick<TestContext, "after">, port: number): HttpKubeClient {
  const client = new HttpKubeClient({
    server: new URL(`http://127.0.0.1:${port}`),
    tls: async () => ({ rejectUnauthorized: true }),
    headers: async () => ({}),
    refused: async () => false,
  });
  t.after(() => client.close());
  return client;
}
