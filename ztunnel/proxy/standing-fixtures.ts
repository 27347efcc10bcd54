/** Connections that stand by real permits, without sockets, for tests of what becomes of them. */
import assert from "node:assert/strict";
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { ip } from "#common/mesh-state/test-records.ts";
import { EMPTY_MATCH, type Rule } from "#common/model/authorization.ts";
import type { Connection } from "#common/model/connection.ts";
import { makeIdentity } from "#common/model/identity.ts";
import type { Workload } from "#common/model/workload.ts";
import type { ConnectionFailure } from "#common/transport/failure.ts";
import { admit, type Permit } from "./admit.ts";
import type { Reauthorizer, StandingConnection } from "./reauthorizer.ts";
import { StateWaiter } from "./state-waiter.ts";

export const onPort = (...destinationPorts: number[]): readonly Rule[] => [
  { clauses: [{ matches: [{ ...EMPTY_MATCH, destinationPorts }] }] },
];

export const fromAccount = (serviceAccount: string): readonly Rule[] => [
  {
    clauses: [
      { matches: [{ ...EMPTY_MATCH, serviceAccounts: [{ namespace: "web", serviceAccount }] }] },
    ],
  },
];

export function call(fields: { account?: string; port?: number } = {}): Connection {
  return {
    sourceIp: ip("10.9.0.1"),
    sourceIdentity: makeIdentity("cluster.local", "web", fields.account ?? "front"),
    destinationIp: ip("10.0.0.1"),
    destinationPort: fields.port ?? 80,
    destinationNetwork: "",
  };
}

export async function permitFor(
  state: ProxyState,
  workload: Workload,
  connection: Connection = call(),
): Promise<Permit> {
  const permit = await admit(new StateWaiter(state), workload, connection);
  assert.ok(!("ok" in permit), "the connection is allowed to begin with");
  return permit;
}

/** A connection without sockets: remembers why it was cut. */
export class Standing implements StandingConnection {
  readonly permit: Permit;
  readonly #reauthorizer: Reauthorizer;
  why: ConnectionFailure | undefined;

  constructor(reauthorizer: Reauthorizer, permit: Permit) {
    this.permit = permit;
    this.#reauthorizer = reauthorizer;
    reauthorizer.add(this);
  }

  /** As the tracker does: what is cut is over, and is told so at once. */
  readonly cut = (why: ConnectionFailure): void => {
    this.why ??= why;
    this.end();
  };

  end(): void {
    this.#reauthorizer.delete(this);
  }
}
