import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type IpAddress, parseCidr } from "#common/model/ip.ts";
import { defaultPodCidrs } from "./addresses.ts";
import {
  fabricLines,
  nodeIps,
  nodeLines,
  plugNodeLines,
  podLines,
  podPort,
} from "./network-plan.ts";

const NODE = { name: "node1", number: 1, ips: nodeIps(1), podCidrs: defaultPodCidrs(1) };
const pod = (ips: readonly string[]) =>
  podLines({
    port: podPort("uid"),
    nodeNetns: "/proc/7/ns/net",
    ips: ips as IpAddress[],
    podCidrs: NODE.podCidrs,
  });

describe("the wires", () => {
  test("of every bridge have a hardware address that no port can change", () => {
    for (const line of [...fabricLines(), ...nodeLines(NODE)]) {
      if (line.includes("type bridge")) assert.match(line, / address 0a:58:/);
    }
  });

  test("of two pods that have one address after each other have one hardware address", () => {
    const [first, second] = [pod(["10.244.1.5"]), pod(["10.244.1.5"])];
    assert.match(first.join("\n"), /link add eth0 address 0a:58:0a:f4:01:05 type veth/);
    assert.deepEqual(first, second);
  });

  test("of a pod lead everything by its node, neighbours too", () => {
    const lines = pod(["10.244.1.5", "fd00:10:244:1::5"]);
    assert.ok(lines.includes("addr add 10.244.1.5/32 dev eth0"));
    assert.ok(lines.includes("addr add fd00:10:244:1::5/128 dev eth0 nodad"));
    assert.ok(lines.includes("route add default via 10.244.1.1 dev eth0"));
    assert.ok(lines.includes("route add default via fd00:10:244:1::1 dev eth0"));
  });

  test("of a pod with one family have no route of the other", () => {
    assert.equal(
      pod(["10.244.1.5"]).some((line) => line.includes("fd00")),
      false,
    );
  });

  test("of a node let it speak to its pods with its own address, as a kubelet does", () => {
    assert.ok(nodeLines(NODE).includes("route add 10.244.1.0/24 dev cni0 src 172.18.0.2"));
  });

  test("lead from the fabric to a node's pods", () => {
    const routes = plugNodeLines(NODE, 9).filter((line) => line.startsWith("route"));
    assert.deepEqual(routes, [
      "route replace 10.244.1.0/24 via 172.18.0.2",
      "route replace fd00:10:244:1::/64 via fd00:172:18::2",
    ]);
  });

  test("follow a node's own pod blocks, of one family too", () => {
    const podCidrs = [parseCidr("192.168.64.0/26") ?? assert.fail()];
    const lines = nodeLines({ ...NODE, podCidrs });
    assert.ok(lines.includes("addr add 192.168.64.1/26 dev cni0 noprefixroute"));
  });
});

test("a pod's wire has a name that an interface can have, another one for each pod", () => {
  assert.match(podPort("0e9b5a52-7a5c-4a0e-a8b1-0d1f6f6d9a11"), /^veth[0-9a-f]{11}$/);
  assert.notEqual(podPort("a"), podPort("b"));
});
