import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RETRY_CONDITIONS, type Retry } from "#common/model/waypoint/http-route.ts";
import { HeaderList } from "../http/header-list.ts";
import type { ResponseHead } from "../http/message.ts";
import {
  DEFAULT_RETRY,
  type RetryPolicy,
  retriesFailure,
  retriesResponse,
  retryDelayMs,
  type TryFailure,
} from "./retry-policy.ts";

function policy(...conditions: Retry["conditions"]): RetryPolicy {
  const retry = { attempts: 2, conditions, codes: [418], backoffMs: 10, backoffMaxMs: 35 };
  return { retry, explicit: true };
}

function response(status: number, grpcStatus?: string): ResponseHead {
  const headers = new HeaderList(grpcStatus === undefined ? [] : ["grpc-status", grpcStatus]);
  return { status, headers };
}

describe("a failure is tried again on", () => {
  const rows: readonly (readonly [TryFailure, readonly string[], readonly string[]])[] = [
    [
      "not-connected",
      ["5xx", "gateway-error", "reset", "reset-before-request", "connect-failure"],
      ["GET", "POST", "PATCH"],
    ],
    [
      "not-sent",
      [
        ...["5xx", "gateway-error", "reset", "reset-before-request"],
        ...["connect-failure", "refused-stream"],
      ],
      ["GET", "POST", "PATCH"],
    ],
    ["reset", ["5xx", "gateway-error", "reset"], ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]],
    ["per-try-timeout", ["5xx", "gateway-error", "reset"], ["GET", "PUT"]],
  ];
  for (const [failure, conditions, methods] of rows) {
    test(`${failure}: ${conditions}, for ${methods} at least`, () => {
      for (const condition of RETRY_CONDITIONS) {
        for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH", "X"]) {
          const unseen = failure === "not-connected" || failure === "not-sent";
          const idempotent = !["POST", "PATCH", "X"].includes(method);
          const expected = conditions.includes(condition) && (unseen || idempotent);
          assert.equal(retriesFailure(policy(condition), method, failure), expected);
        }
      }
      for (const method of methods) {
        assert.ok(retriesFailure(policy("5xx"), method, failure));
      }
    });
  }
});

test("a response is tried again on what Envoy's condition of that name means", () => {
  const rows: readonly (readonly [ResponseHead, readonly string[]])[] = [
    [response(200), []],
    [response(404), []],
    [response(409), ["retriable-4xx"]],
    [response(418), ["retriable-status-codes"]],
    [response(500), ["5xx"]],
    [response(501), ["5xx"]],
    [response(502), ["5xx", "gateway-error"]],
    [response(503), ["5xx", "gateway-error"]],
    [response(504), ["5xx", "gateway-error"]],
    [response(505), ["5xx"]],
    [response(200, "0"), []],
    [response(200, "1"), ["cancelled"]],
    [response(200, "4"), ["deadline-exceeded"]],
    [response(200, "8"), ["resource-exhausted"]],
    [response(200, "13"), ["internal"]],
    [response(200, "14"), ["unavailable"]],
    [response(200, "__proto__"), []],
  ];
  for (const [head, expected] of rows) {
    const found = RETRY_CONDITIONS.filter((one) => retriesResponse(policy(one), "POST", head));
    assert.deepEqual(found, expected);
  }
});

test("by default a response is never tried again for a method that is not idempotent", () => {
  const unavailable = response(200, "14");
  assert.equal(retriesResponse(DEFAULT_RETRY, "POST", unavailable), false);
  assert.equal(retriesResponse(DEFAULT_RETRY, "GET", unavailable), true);
  assert.equal(retriesResponse(DEFAULT_RETRY, "GET", response(503)), false);
});

test("pauses double up to their bound, and are never shorter than the step", () => {
  const { retry } = policy("5xx");
  assert.deepEqual(
    [1, 2, 3, 4].map((n) => retryDelayMs(retry, n, () => 0)),
    [10, 20, 35, 35],
  );
  assert.equal(
    retryDelayMs(retry, 1, () => 1),
    15,
  );
});
