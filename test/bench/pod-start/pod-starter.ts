/** Starts a pod, and tells how long it took until its container's first instruction. */
import { readFileSync } from "node:fs";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { collectionPath, objectPath } from "#common/kube-client/resources.ts";
import { BUSYBOX_IMAGE } from "#test/kubernetes/harness/tools/test-images.ts";
import { waitFor } from "#test/kubernetes/harness/wait-for.ts";

/** The machine's clock: seconds since its start, in hundredths, the same in every container. */
const UPTIME = "/proc/uptime";
const SAY_WHEN = `read at rest <${UPTIME}; echo $at; exec sleep 100000`;

export class PodStarter {
  readonly #client: KubeClient;
  #pods = 0;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** Milliseconds from the request on; the pod is gone again when it resolves. */
  async start(namespace: string): Promise<number> {
    const name = `pod-${++this.#pods}`;
    const path = objectPath({ kind: "Pod", namespace, name });
    const requestedAt = uptimeSeconds();
    await this.#client.request({
      method: "POST",
      path: collectionPath("Pod", namespace),
      body: pod(name, namespace),
    });
    const startedAt = await waitFor(`${name} to start`, async () => {
      // A number is JSON.
      const said = await this.#client.request({ method: "GET", path: `${path}/log` });
      return typeof said === "number" ? said : undefined;
    });
    await this.#client.request({ method: "DELETE", path, query: { gracePeriodSeconds: "0" } });
    await waitFor(`${name} to go`, () =>
      this.#client.request({ method: "GET", path }).then(
        () => false,
        () => true,
      ),
    );
    return (startedAt - requestedAt) * 1_000;
  }
}

function uptimeSeconds(): number {
  return Number.parseFloat(readFileSync(UPTIME, "utf8"));
}

function pod(name: string, namespace: string): object {
  const container = { name: "app", image: BUSYBOX_IMAGE, command: ["sh", "-c", SAY_WHEN] };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace },
    spec: { terminationGracePeriodSeconds: 0, containers: [container] },
  };
}
