import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "./config.ts";

const NODE = { NODE_NAME: "n1" };

test("the defaults are Istio's", () => {
  const config = loadConfig(NODE);
  assert.equal(config.xds?.url, "https://istiod.istio-system.svc:15012");
  assert.equal(config.xds?.rootCertFile, "/var/run/secrets/istio/root-cert.pem");
  assert.equal(config.tokenFile, "/var/run/secrets/tokens/istio-token");
  assert.equal(config.certificateTtlSeconds, 86_400);
  assert.equal(config.metricsPort, 15020);
});

test("the node's network is its first process's, or ztunnel's own where a directory names pods", () => {
  const of = (env: object) => {
    const { podSandboxesDir, nodeNetns } = loadConfig({ ...NODE, ...env });
    return [podSandboxesDir, nodeNetns];
  };
  assert.deepEqual(of({}), [undefined, "/proc/1/ns/net"]);
  assert.deepEqual(of({ POD_SANDBOXES_DIR: "/s" }), ["/s", "/proc/self/ns/net"]);
  assert.deepEqual(of({ NODE_NETNS: "/run/netns/n" }), [undefined, "/run/netns/n"]);
});

test("the drain deadline follows the grace period, or is what was asked for", () => {
  const deadline = (env: object) => loadConfig({ ...NODE, ...env }).drainDeadlineMs;
  assert.equal(deadline({ TERMINATION_GRACE_PERIOD_SECONDS: "30" }), 25_000);
  assert.equal(deadline({ TERMINATION_GRACE_PERIOD_SECONDS: "10" }), 9_000);
  assert.equal(deadline({ TERMINATION_GRACE_PERIOD_SECONDS: "1" }), 1_000);
  assert.equal(deadline({}), 5_000);
  assert.equal(deadline({ CONNECTION_TERMINATION_DEADLINE: "500ms" }), 500);
  assert.equal(deadline({ CONNECTION_TERMINATION_DEADLINE: "2" }), 2_000);
});

const WRONG = {
  XDS_ADDRESS: "http://istiod:15010",
  CA_ADDRESS: "istiod:15012/path",
  INSTANCE_IP: "10.0.0",
  ZTUNNEL_WORKER_THREADS: "0%",
  ENABLE_ORIG_SRC: "yes",
  RUST_LOG: "loud",
  TRUST_DOMAIN_ALIASES: "old-td,Other",
  STATS_PORT: "70000",
  CONNECTION_TERMINATION_DEADLINE: "soon",
  SECRET_TTL: "-1",
  "XDS_HEADER_a b": "c",
};
for (const [name, value] of Object.entries(WRONG)) {
  test(`a wrong ${name} is refused by name, with the value and what is allowed`, () => {
    assert.throws(() => loadConfig({ ...NODE, [name]: value }), {
      code: "CONFIG_INVALID",
      message: new RegExp(`^${name}=${value.replace(/[/.]/g, "\\$&")} is not valid: it takes `),
    });
  });
}

test("what Istio's charts write is understood", () => {
  const config = loadConfig({
    ...NODE,
    XDS_ADDRESS: "istiod.istio-system.svc:15012",
    CA_ADDRESS: "10.0.0.1:15012",
    RUST_LOG: "info,xds=debug",
    SECRET_TTL: "24h0m0s",
    XDS_HEADER_X_FOO: "bar",
    CA_HEADER_CERTSIGNER: "x",
  });
  assert.equal(config.xds?.url, "https://istiod.istio-system.svc:15012");
  assert.equal(config.ca.url, "https://10.0.0.1:15012");
  assert.equal(String(config.logLevels), "xds=debug,info");
  assert.equal(config.certificateTtlSeconds, 86_400);
  assert.deepEqual(config.xds?.headers, { x_foo: "bar" });
  assert.deepEqual(config.ca.headers, { certsigner: "x" });
  const { logLevels } = loadConfig({ ...NODE, RUST_LOG: "xds=debug", LOG_LEVEL: "warn" });
  assert.equal(String(logLevels), "xds=debug,warn");
});

test("upstream 58511: aliases of the trust domain are names apart by commas", () => {
  const aliases = (value: string) =>
    loadConfig({ ...NODE, TRUST_DOMAIN_ALIASES: value }).trustDomains;
  assert.deepEqual(aliases("old-td, td2.example,"), ["cluster.local", "old-td", "td2.example"]);
  assert.deepEqual(aliases(""), ["cluster.local"]);
});

test("a missing NODE_NAME says what it is for", () => {
  assert.throws(() => loadConfig({}), /NODE_NAME is not set/);
});

test("PROXY_CONFIG says what no variable says, and its metadata names the cluster", () => {
  const PROXY_CONFIG = `
    discoveryAddress: istiod-rev.istio-system:15012
    statsPort: 15888
    proxyMetadata: { CLUSTER_ID: c1 }
    tracing: {}
  `;
  const config = loadConfig({ ...NODE, PROXY_CONFIG });
  assert.equal(config.xds?.url, "https://istiod-rev.istio-system:15012");
  assert.equal(config.metricsPort, 15888);
  assert.equal(config.clusterId, "c1");
  assert.deepEqual(config.warnings, ["PROXY_CONFIG's tracing has no effect"]);
  const both = loadConfig({ ...NODE, PROXY_CONFIG, XDS_ADDRESS: "a:1", STATS_PORT: "15020" });
  assert.equal(both.xds?.url, "https://a:1");
  assert.equal(both.metricsPort, 15020);
  assert.equal(
    loadConfig({ ...NODE, ISTIO_META_CLUSTER_ID: "c2", CLUSTER_ID: "c3" }).clusterId,
    "c2",
  );
});

test("without istiod a CNI agent has to name the pods", () => {
  const local = { ...NODE, XDS_ADDRESS: "", LOCAL_XDS_PATH: "/etc/mesh.yaml" };
  assert.throws(() => loadConfig(local), /nothing says which pods to proxy/);
  const config = loadConfig({ ...local, INPOD_UDS: "/run/z.sock" });
  assert.equal(config.xds, undefined);
  assert.deepEqual(config.localXds, { file: "/etc/mesh.yaml" });
  assert.equal(config.inpodSocket, "/run/z.sock");
  assert.throws(() => loadConfig({ ...local, LOCAL_XDS: "{}" }), /both set/);
});

test("what the CNI plugin's script names is nothing that a shell could read otherwise", () => {
  const paths = { CNI_SOCKET: "/run/a.sock", CNI_BIN_DIR: "/opt/cni/bin/", CNI_CONF_DIR: "/etc/c" };
  const { cni } = loadConfig({ ...NODE, ...paths, CNI_EXCLUDE_NAMESPACES: "kube-system, a-1" });
  assert.deepEqual(cni?.install, { binDir: "/opt/cni/bin/", confDir: "/etc/c" });
  assert.deepEqual(cni?.excludedNamespaces, ["istio-system", "kube-system", "a-1"]);
  for (const wrong of ["run/a.sock", "/run/a b", "/run/$(id)", "/run/a'b", "/"]) {
    for (const name of Object.keys(paths)) {
      assert.throws(() => loadConfig({ ...NODE, ...paths, [name]: wrong }), {
        message: /absolute/,
      });
    }
  }
  const excluded = { ...NODE, ...paths, CNI_EXCLUDE_NAMESPACES: "a,*" };
  assert.throws(() => loadConfig(excluded), /names of namespaces/);
});

const SECRET = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";

test("a token in the environment is refused, without repeating it", () => {
  assert.throws(
    () => loadConfig({ ...NODE, AUTH_TOKEN: SECRET }),
    (error: Error) => /takes the path of a file/.test(error.message) && !/eyJ/.test(error.message),
  );
});

const DANGEROUS = {
  FAKE_CA: "true",
  CA_ADDRESS: "",
  PROXY_MODE: "dedicated",
  COMPLIANCE_POLICY: "fips-140-2",
  TLS12_ENABLED: "true",
  PACKET_MARK: "7",
  ENABLE_PROXY: "false",
};
for (const [name, value] of Object.entries(DANGEROUS)) {
  test(`${name}=${value}, whose promise would not be kept, is refused with what to do`, () => {
    assert.throws(
      () => loadConfig({ ...NODE, [name]: value }),
      (error: { message?: string; hint?: string }) =>
        error.message === `${name}=${value} is not supported` && (error.hint ?? "") !== "",
    );
  });
}

test("what Istio knows and this program does not is named in a warning, unless it asks for nothing", () => {
  const { warnings } = loadConfig({
    ...NODE,
    UNSTABLE_ENABLE_SOCKS5: "true",
    INPOD_PORT_REUSE: "true",
    LOCALHOST_APP_TUNNEL: "",
    PROXY_MODE: "shared",
    FAKE_CA: "false",
    PACKET_MARK: "1337",
  });
  assert.deepEqual(warnings, [
    "UNSTABLE_ENABLE_SOCKS5=true has no effect: there is no SOCKS5 listener on 15080",
  ]);
});
