/**
 * A kubelet's probes under policies that let nobody in, to pods whose first address is IPv4 and to
 * one whose is IPv6; and who else gets through by the same way, or does not.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Pod } from "#common/kubernetes/objects.ts";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import { findRecords } from "#test/support/access-log.ts";
import { pod } from "#test/support/objects.ts";
import { FAMILIES, type Family, NODE_BLOCKS, PolicyMesh } from "#test/support/policy-mesh.ts";
import { allow, deny, peerAuthentication } from "#test/support/policy-objects.ts";

const PORT = 8181;
/** The sources that nodes give to their own connections to captured pods; Istio's. */
const PROBE_SOURCE: Readonly<Record<Family, string>> = {
  ipv4: "169.254.7.127",
  ipv6: "fd16:9254:7127:1337:ffff:ffff:ffff:ffff",
};
const PROBED: Readonly<Record<Family, string>> = {
  ipv4: "shop/probed-ipv4",
  ipv6: "shop/probed-ipv6",
};
const NODE_OF: Readonly<Record<Family, string>> = { ipv4: "node2", ipv6: "node1" };

const READY_PATH = "/ready";

/**
 * Every second; the liveness probe only adds to them. A refusal is an answer: only a busy machine
 * is late with one.
 */
function probe(path: string, failureThreshold: number): object {
  const timeoutSeconds = 10;
  return { httpGet: { path, port: PORT }, periodSeconds: 1, timeoutSeconds, failureThreshold };
}

/** The first of its pod CIDRs decides of which family a pod's first address is: the probed one. */
function node(name: "node1" | "node2", first: Family): object {
  const { ipv4, ipv6 } = NODE_BLOCKS[name];
  const podCIDRs = first === "ipv4" ? [ipv4, ipv6] : [ipv6, ipv4];
  return { apiVersion: "v1", kind: "Node", metadata: { name }, spec: { podCIDRs } };
}

function probedPod(family: Family): readonly object[] {
  const [namespace = "", name = ""] = PROBED[family].split("/");
  return pod({ namespace, name, node: NODE_OF[family] }).map((object) => {
    const { spec } = object as Pod;
    if (spec === undefined) return object;
    const [container] = spec.containers;
    const readinessProbe = probe(READY_PATH, 1);
    const livenessProbe = probe("/live", 30);
    const containers = [{ ...container, readinessProbe, livenessProbe }];
    return { ...object, spec: { ...spec, containers } };
  });
}

interface Request {
  readonly family: Family;
  readonly peer: string;
  readonly agent: string;
}

const STRICTEST = {
  "STRICT for the mesh": [peerAuthentication("STRICT", { namespace: "istio-system" })],
  "STRICT for the workload": [
    peerAuthentication("STRICT", { name: "a", matchLabels: { app: "probed-ipv4" } }),
    peerAuthentication("STRICT", { name: "b", matchLabels: { app: "probed-ipv6" } }),
  ],
  "an ALLOW for nobody": [allow([])],
  "a DENY for everybody": [deny([{}], { namespace: "istio-system" })],
};

describe("a kubelet's probes", () => {
  let mesh: PolicyMesh;
  const requests: Request[] = [];
  let healthy = true;

  const isProbe = ({ agent }: Request): boolean => agent.startsWith("kube-probe/");

  before(async () => {
    mesh = await PolicyMesh.start({ objects: [node("node1", "ipv6"), node("node2", "ipv4")] });
    await mesh.cluster.apply(...FAMILIES.flatMap((family) => probedPod(family)));
    for (const family of FAMILIES) {
      await mesh.cluster.waitFor(PROBED[family], ({ status }) => status?.phase === "Running");
      await mesh.sockets.serveHttp(PROBED[family], PORT, (peer, request, response) => {
        requests.push({ family, peer, agent: request.headers["user-agent"] ?? "" });
        if (!healthy && request.url === READY_PATH) response.statusCode = 500;
        return "probed\n";
      });
    }
    for (const family of FAMILIES) await mesh.cluster.waitFor(PROBED[family], isReady);
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  /** Waits for so many more probes of both pods. */
  async function moreProbes(count: number): Promise<readonly Request[]> {
    const seen = requests.length;
    const later = () => requests.slice(seen).filter(isProbe);
    await mesh.cluster.until("there are more probes", () =>
      FAMILIES.every((each) => later().filter(({ family }) => family === each).length >= count),
    );
    return later();
  }

  /** The answer to a plaintext request from somewhere; undefined if there is none. */
  async function request(
    from: (argv: readonly string[]) => ReturnType<PolicyMesh["cluster"]["exec"]>,
    family: Family,
    ...options: readonly string[]
  ): Promise<string | undefined> {
    const ip = await mesh.cluster.podIp(PROBED[family], family);
    const host = family === "ipv6" ? `[${ip}]` : ip;
    const curl = ["curl", "-gsS", "-m", "5", ...options, `http://${host}:${PORT}/`];
    const { code, stdout } = await from(curl);
    return code === 0 ? stdout : undefined;
  }

  test("go to the pod's first address, IPv4 or IPv6, from the probe source", async () => {
    await mesh.enforce();
    for (const family of FAMILIES) {
      const [first] = (await mesh.cluster.pod(PROBED[family])).status?.podIPs ?? [];
      assert.equal(first?.ip, await mesh.cluster.podIp(PROBED[family], family));
    }
    for (const { family, peer } of await moreProbes(1)) assert.equal(peer, PROBE_SOURCE[family]);
  });

  for (const [title, policies] of Object.entries(STRICTEST)) {
    test(`pass under ${title}, and the pods stay ready`, async () => {
      await mesh.enforce(...policies);
      const changed = await readySince(mesh);
      for (const { family, peer } of await moreProbes(2)) assert.equal(peer, PROBE_SOURCE[family]);
      assert.deepEqual(await readySince(mesh), changed);
      for (const family of FAMILIES) {
        assert.ok(isReady(await mesh.cluster.pod(PROBED[family])));
        const from = mesh.cluster.inPodNetns.bind(mesh.cluster, "outside/outsider");
        assert.equal(await request(from, family), undefined, "others are refused");
      }
    });
  }

  test("are answered by the application under STRICT, whatever it answers", async () => {
    await mesh.enforce(peerAuthentication("STRICT"));
    healthy = false;
    for (const family of FAMILIES) {
      await mesh.cluster.waitFor(PROBED[family], (each) => !isReady(each));
    }
    healthy = true;
    for (const family of FAMILIES) await mesh.cluster.waitFor(PROBED[family], isReady);
  });

  test("are connections that no ztunnel takes part in", async () => {
    for (const nodeName of Object.values(NODE_OF)) {
      const records = await findRecords(mesh.cluster, nodeName, {
        "src.addr": /169\.254\.7\.127|fd16:9254:7127/,
      });
      assert.deepEqual(records, []);
    }
  });

  describe("and under STRICT,", () => {
    before(() => mesh.enforce(peerAuthentication("STRICT")));

    for (const family of FAMILIES) {
      const own = NODE_OF[family];
      const other = own === "node1" ? "node2" : "node1";

      test(`a process of the pod's own node gets through as a kubelet does, ${family}`, async () => {
        const from = mesh.cluster.inNodeNetns.bind(mesh.cluster, own);
        assert.equal(await request(from, family), "probed\n");
        assert.equal(requests.findLast((each) => !isProbe(each))?.peer, PROBE_SOURCE[family]);
      });

      test(`a process of another node is refused, ${family}`, async () => {
        const from = mesh.cluster.inNodeNetns.bind(mesh.cluster, other);
        assert.equal(await request(from, family), undefined);
      });

      test(`a pod that takes the probe source for its own gets no answer, ${family}`, async () => {
        const source = PROBE_SOURCE[family];
        const from = mesh.cluster.inPodNetns.bind(mesh.cluster, "outside/outsider");
        const length = family === "ipv6" ? 128 : 32;
        const added = await from(["ip", "address", "add", `${source}/${length}`, "dev", "lo"]);
        assert.equal(added.code, 0, added.stderr);
        const before = requests.filter((each) => !isProbe(each)).length;
        assert.equal(await request(from, family, "--interface", source), undefined);
        assert.equal(requests.filter((each) => !isProbe(each)).length, before);
      });
    }
  });
});

/** When the readiness of each probed pod last changed. */
async function readySince(mesh: PolicyMesh): Promise<readonly (string | undefined)[]> {
  return Promise.all(
    FAMILIES.map(async (family) => {
      const { status } = await mesh.cluster.pod(PROBED[family]);
      return status?.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime;
    }),
  );
}
