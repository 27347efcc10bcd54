import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Cidr, formatCidr, type IpAddress, parseCidr, parseIp } from "#common/model/ip.ts";
import { AddressPool, addressAt, defaultPodCidrs, indexIn, SERVICE_IPV4 } from "./addresses.ts";

const block = (text: string): Cidr => parseCidr(text) ?? assert.fail(text);
const ip = (text: string): IpAddress => parseIp(text) ?? assert.fail(text);

test("addresses of a block are counted from its network, whatever host bits it was written with", () => {
  assert.equal(addressAt(block("10.244.1.0/24"), 2), "10.244.1.2");
  assert.equal(addressAt(block("10.244.1.99/24"), 2), "10.244.1.2");
  assert.equal(addressAt(block("10.96.0.0/16"), 0x1ff), "10.96.1.255");
  assert.equal(addressAt(block("fd00:10:244:1::/64"), 0x10002), "fd00:10:244:1::1:2");
});

test("the number of an address gives the address back", () => {
  const blocks = ["10.96.0.0/16", "10.244.7.0/24", "fd00:10:96::/112"].map(block);
  fc.assert(
    fc.property(fc.constantFrom(...blocks), fc.nat(254), (cidr, index) => {
      assert.equal(indexIn(cidr, addressAt(cidr, index)), index);
    }),
  );
  assert.equal(indexIn(SERVICE_IPV4, ip("10.97.0.1")), undefined);
});

test("nodes have pod blocks of their own in both families", () => {
  assert.deepEqual(defaultPodCidrs(12).map(formatCidr), ["10.244.12.0/24", "fd00:10:244:c::/64"]);
});

describe("an address pool", () => {
  const pool = () => new AddressPool([block("10.1.1.0/29"), block("fd00::/64")], 2);

  test("hands out the same number in each family, and a freed address last", () => {
    const addresses = pool();
    assert.deepEqual(addresses.allocate(), ["10.1.1.2", "fd00::2"]);
    const second = addresses.allocate() ?? [];
    assert.deepEqual(second, ["10.1.1.3", "fd00::3"]);
    addresses.release(second);
    assert.deepEqual(addresses.allocate(), ["10.1.1.4", "fd00::4"]);
  });

  test("never hands out the network, the gateway or the broadcast address, and ends when it is empty", () => {
    const addresses = pool();
    const all = Array.from({ length: 6 }, () => addresses.allocate()?.[0]);
    assert.deepEqual(all, ["10.1.1.2", "10.1.1.3", "10.1.1.4", "10.1.1.5", "10.1.1.6", undefined]);
  });

  test("gives an address that is asked for, once", () => {
    const addresses = pool();
    assert.deepEqual(addresses.claim(ip("10.1.1.2")), ["10.1.1.2", "fd00::2"]);
    assert.equal(addresses.claim(ip("fd00::2")), undefined);
    assert.equal(addresses.claim(ip("10.9.9.9")), undefined);
    assert.deepEqual(addresses.allocate(), ["10.1.1.3", "fd00::3"]);
  });
});
