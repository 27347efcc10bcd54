/** What a peer says in the headers of a CONNECT. */
import assert from "node:assert/strict";
import net from "node:net";
import { parseAuthority } from "#common/hbone/authority.ts";
import { makeBaggage, parseBaggage } from "#common/hbone/baggage.ts";
import { formatForwarded, forwardedHost } from "#common/hbone/forwarded.ts";
import { makeTraceparent } from "#common/hbone/traceparent.ts";
import { pod } from "#common/mesh-state/test-records.ts";
import { formatSocketAddress, parseIp } from "#common/model/ip.ts";
import type { FuzzTarget } from "../fuzz-target.ts";

/** As node:http2 hands over header values: one byte, one character. */
const textOf = (input: Buffer): string => input.toString("latin1");
const texts = (...list: readonly string[]): Uint8Array[] => list.map((text) => Buffer.from(text));

export const authority: FuzzTarget = {
  name: "authority",
  corpus: texts(
    "10.0.0.1:80",
    "[fd00::1]:15008",
    "[::ffff:10.0.0.1]:80",
    "web.shop.svc.cluster.local:8080",
    "127.0.0.1:15000",
    "0x7f.1:80",
  ),
  words: [":", "[", "]", "::", "%eth0", "@", "/", ".", "65535", "0", "0x", "-", "_", "xn--", "\0"],
  maxBytes: 600,
  check: (input) => {
    const text = textOf(input);
    const parsed = parseAuthority(text);
    if (parsed.kind === "error") return parsed.message;
    assert.ok(Number.isInteger(parsed.port) && parsed.port > 0 && parsed.port < 65_536);
    if (parsed.kind === "ip") {
      assert.notEqual(net.isIP(parsed.ip), 0);
      assert.equal(parseIp(parsed.ip), parsed.ip, "the address is canonical");
      assert.deepEqual(parseAuthority(formatSocketAddress(parsed)), parsed);
      return `ip ${net.isIP(parsed.ip)}`;
    }
    assert.deepEqual(parseAuthority(`${parsed.hostname}:${parsed.port}`), parsed);
    assert.match(parsed.hostname, /^[a-z0-9._-]{1,253}$/);
    const url = URL.parse(`http://${parsed.hostname}:1/`);
    // What others take for an address must not pass as a name: they might connect to it.
    assert.ok(url === null || net.isIP(url.hostname) === 0, `${parsed.hostname} is an address`);
    return "hostname";
  },
};

const FIELDS = "cluster namespace workloadType workloadName serviceName revision region zone";

export const baggage: FuzzTarget = {
  name: "baggage",
  corpus: texts(
    "k8s.cluster.name=Kubernetes,k8s.namespace.name=ns,k8s.deployment.name=web,service.name=web," +
      "service.version=v1,cloud.region=r,cloud.availability_zone=z",
    "k8s.job.name=a%20b;prop=1 , service.name=%e2%82%ac",
    "__proto__=x,constructor=y,k8s.pod.name=z",
  ),
  words: [
    "=",
    ",",
    ";",
    "%",
    "%00",
    "%zz",
    "%ff",
    "k8s.cronjob.name=",
    "service.name=",
    "__proto__=",
  ],
  maxBytes: 10_000,
  check: (input) => {
    const found = parseBaggage(textOf(input));
    for (const [key, value] of Object.entries(found)) {
      assert.ok(FIELDS.split(" ").includes(key), key);
      assert.ok(typeof value === "string" && value !== "");
    }
    const { workloadType = "pod", workloadName = "w", revision = "", serviceName = "" } = found;
    const locality = { region: found.region ?? "", zone: found.zone ?? "", subzone: "" };
    const written = makeBaggage(
      pod("p", [], {
        clusterId: found.cluster ?? "",
        namespace: found.namespace ?? "",
        canonicalName: serviceName,
        canonicalRevision: revision,
        workloadType,
        workloadName,
        locality,
      }),
    );
    assert.match(written, /^[\x21-\x7e]+$/);
    if (written.length <= 8_192) {
      assert.deepEqual(parseBaggage(written), { ...found, workloadType, workloadName });
    }
    return Object.keys(found).sort().join();
  },
};

export const forwarded: FuzzTarget = {
  name: "forwarded",
  corpus: texts(
    'for="10.0.0.1:1234"',
    'for="[fd00::1]:9";host=web.shop.svc.cluster.local',
    'for=a;proto=http, for=b;host="x y"',
    "HOST=a;host=b",
  ),
  words: ["host=", 'host="', ";", ",", '"', "\\", "for=", " ", "\t"],
  maxBytes: 2_000,
  check: (input) => {
    const host = forwardedHost(textOf(input));
    if (host === undefined) return "none";
    assert.ok(host.length > 0 && host.length <= 253 && !/["\\]/.test(host));
    assert.equal(forwardedHost(`host="${host}"`), host);
    const ip = parseIp("10.0.0.1");
    assert.ok(ip !== undefined);
    if (/^[^\s;,"]+$/.test(host)) {
      assert.equal(forwardedHost(formatForwarded({ ip, port: 1 }, host)), host);
    }
    return "host";
  },
};

/** It is only ever written; the input is the randomness. */
export const traceparent: FuzzTarget = {
  name: "traceparent",
  corpus: [Uint8Array.of(0), Uint8Array.of(255), Uint8Array.of(1, 2, 3, 4, 5, 6)],
  maxBytes: 64,
  check: (input) => {
    let at = 0;
    const written = makeTraceparent(() => (input[at++ % Math.max(1, input.length)] ?? 0) / 256);
    assert.match(written, /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00$/);
    return "written";
  },
};
