import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createLogger } from "#common/telemetry/logger.ts";
import type { EventDetails, NewCondition, ObjectReference } from "../config/source.ts";
import { STATUS_RETRY_INITIAL_MS } from "../limits.ts";
import type { ObjectStatus } from "../registry/registry-update.ts";
import { PolicyStatusController } from "./policy-status.ts";

const logger = createLogger({ level: "error", format: "text", write: () => undefined });

function statusOf(message: string, name = "p", generation = 1): ObjectStatus {
  const condition = { type: "ZtunnelAccepted", status: "True" as const, message };
  return {
    kind: "AuthorizationPolicy",
    namespace: "shop",
    name,
    generation,
    conditions: [condition],
    warnings: [],
  };
}

/** Each write takes a moment; the first `failures` of them fail. */
function recorder(failures = 0) {
  const written: string[] = [];
  let left = failures;
  const setConditions = async (
    { name }: ObjectReference,
    conditions: readonly NewCondition[],
    generation: number | undefined,
  ) => {
    await sleep(5);
    if (left-- > 0) throw new Error("disk full");
    written.push(`${name}@${generation} ${conditions[0]?.message}`);
  };
  const recordEvent = async ({ name }: ObjectReference, { message }: EventDetails) => {
    written.push(`event ${name}: ${message}`);
  };
  const setAddresses = async (
    { name }: ObjectReference,
    addresses: readonly { readonly value: string }[],
  ) => {
    written.push(`addresses ${name}: ${addresses.map(({ value }) => value).join(",")}`);
  };
  const setStatusFields = () => Promise.resolve();
  const writer = { setConditions, setAddresses, setStatusFields, recordEvent };
  return { written, controller: new PolicyStatusController({ writer, logger }) };
}

describe("policy statuses", () => {
  it("are written once, however often the same comes back", async () => {
    const { written, controller } = recorder();
    controller.write([statusOf("ok")]);
    await sleep(20);
    controller.write([statusOf("ok")]);
    controller.write([statusOf("ok", "p", 2)]);
    await controller.close();
    assert.deepEqual(written, ["p@1 ok", "p@2 ok"]);
  });

  it("take back what was said of a policy that is now for another kind of proxy", async () => {
    const calls: (readonly string[] | undefined)[] = [];
    const setConditions = async (
      _object: ObjectReference,
      _conditions: readonly NewCondition[],
      _generation: number | undefined,
      obsolete?: readonly string[],
    ) => void calls.push(obsolete);
    const nothing = async () => undefined;
    const writer = {
      setConditions,
      recordEvent: nothing,
      setAddresses: nothing,
      setStatusFields: nothing,
    };
    const controller = new PolicyStatusController({ writer, logger });
    const waypoint = { type: "WaypointAccepted", status: "False" as const };
    controller.write([{ ...statusOf("now"), conditions: [waypoint] }]);
    await sleep(5);
    controller.write([statusOf("ztunnel again")]);
    await sleep(5);
    await controller.close();
    assert.deepEqual(calls, [["ZtunnelAccepted"], ["WaypointAccepted"]]);
  });

  it("skip what is overtaken while a write is in progress", async () => {
    const { written, controller } = recorder();
    for (const message of ["a", "b", "c", "d"]) controller.write([statusOf(message)]);
    await sleep(30);
    await controller.close();
    assert.deepEqual(written, ["p@1 a", "p@1 d"]);
  });

  it("do not wait for each other's objects", async () => {
    const { written, controller } = recorder(1);
    controller.write([statusOf("a", "one"), statusOf("b", "two")]);
    await sleep(30);
    assert.deepEqual(written, ["two@1 b"]);
    await controller.close();
  });

  it("are tried again until they are written", async () => {
    const { written, controller } = recorder(1);
    controller.write([statusOf("a")]);
    for (let i = 0; i < 200 && written.length === 0; i++) await sleep(STATUS_RETRY_INITIAL_MS / 50);
    assert.deepEqual(written, ["p@1 a"]);
    await controller.close();
  });

  it("are written afresh for a policy that comes back under its name", async () => {
    const { written, controller } = recorder();
    controller.write([statusOf("a")]);
    await sleep(20);
    controller.forget("AuthorizationPolicy/shop/p");
    controller.write([statusOf("a")]);
    await sleep(20);
    await controller.close();
    assert.deepEqual(written, ["p@1 a", "p@1 a"]);
  });

  it("become an Event, once, where there is no condition for them", async () => {
    const { written, controller } = recorder();
    const kind = "PeerAuthentication" as const;
    const warnings = ["port 0 is no port"];
    const status = { ...statusOf("a"), kind, conditions: [], warnings };
    controller.write([status]);
    await sleep(20);
    controller.write([status]);
    await controller.close();
    assert.deepEqual(written, ["event p: port 0 is no port"]);
  });

  it("of ServiceEntries say which addresses their hosts were given", async () => {
    const { written, controller } = recorder();
    const addresses = [{ value: "240.240.0.1", host: "a.b" }];
    controller.write([{ ...statusOf("a"), kind: "ServiceEntry", addresses }]);
    await sleep(20);
    await controller.close();
    assert.deepEqual(written, ["addresses p: 240.240.0.1", "p@1 a"]);
  });

  it("that cannot be written do not keep the process from ending", async () => {
    const { written, controller } = recorder(1_000);
    controller.write([statusOf("a")]);
    await sleep(20);
    await controller.close();
    controller.write([statusOf("b")]);
    assert.deepEqual(written, []);
  });
});
