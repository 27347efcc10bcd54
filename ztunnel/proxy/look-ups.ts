/**
 * What a connection needs to know of the mesh, asked of the control plane by name when it is needed
 * (XDS_ON_DEMAND). A connection is decided on once all of it has been answered; "nobody is there"
 * is an answer, which stays good while the control plane says nothing else, but is asked for again
 * after a while. Sources: istio/ztunnel src/state.rs, ambient.md 2.2 and 2.5.
 */

import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { type GatewayAddress, networkAddressKey, serviceKey } from "#common/model/address.ts";
import { type IpAddress, isLoopback, type SocketAddress } from "#common/model/ip.ts";
import type { Workload } from "#common/model/workload.ts";
import { type ConnectionFailure, failure, limitReached } from "#common/transport/failure.ts";
import { LOOK_UP_ABSENT_MS, LOOK_UP_WAIT_MS, LOOK_UPS_WAITING } from "./limits.ts";
import type { AddressAnswers } from "./worker-protocol.ts";

export interface LookUpsDeps {
  readonly state: Pick<ProxyState, "findAddress" | "resolveGateway" | "findServiceByKey">;
  /** Asks the control thread, which asks the control plane; `answered` follows. */
  readonly ask: (name: string) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** `late`: no answer in time. */
type Answer = "found" | "absent" | "limit" | "late";

interface LastAnswer {
  readonly found: boolean;
  readonly at: number;
}

export class LookUps {
  readonly #deps: LookUpsDeps;
  /** Only names that the control thread follows, and so bounded by its bounds. */
  readonly #answers = new Map<string, LastAnswer>();
  readonly #waiting = new Map<string, Set<(answer: Answer) => void>>();
  #waiters = 0;

  constructor(deps: LookUpsDeps) {
    this.#deps = deps;
  }

  /** All that the route of a connection to `ip` depends on. Undefined: it is known now. */
  async route(
    source: Pick<Workload, "network">,
    { ip }: SocketAddress,
  ): Promise<ConnectionFailure | undefined> {
    if (isLoopback(ip)) return undefined;
    const { state } = this.#deps;
    const address = { network: source.network, ip };
    const unknown = await this.#settle(networkAddressKey(address), () =>
      state.findAddress(address),
    );
    if (unknown !== undefined) return unknown;
    const found = state.findAddress(address);
    if (found === undefined) return undefined;
    const { waypoint } = found.kind === "service" ? found.service : found.workload;
    const weighted = found.kind === "service" ? found.service.weightedWaypoints : [];
    const gateways = weighted.map(({ destination }) => destination);
    if (waypoint !== undefined) gateways.push(waypoint);
    const answers = await Promise.all(gateways.map((gateway) => this.#gateway(gateway)));
    return answers.find((answer) => answer !== undefined);
  }

  /** A service by `<namespace>/<hostname>`. */
  service(key: string): Promise<ConnectionFailure | undefined> {
    return this.#settle(key, () => this.#deps.state.findServiceByKey(key));
  }

  /** Asks for what is nice to know, for logs and metrics, and waits for nothing. */
  mention(name: string): void {
    if (!this.#answers.has(name) && !this.#waiting.has(name)) this.#deps.ask(name);
  }

  /** The control plane's answers; what it found is in the state already. */
  answered({ found, absent, forgotten, refused }: AddressAnswers): void {
    const at = this.#deps.now();
    for (const name of found) this.#answer(name, "found", { found: true, at });
    for (const name of absent) this.#answer(name, "absent", { found: false, at });
    for (const name of forgotten) this.#answers.delete(name);
    for (const name of refused) this.#tell(name, "limit");
  }

  #gateway(gateway: GatewayAddress): Promise<ConnectionFailure | undefined> {
    const name =
      gateway.kind === "address" ? networkAddressKey(gateway.address) : serviceKey(gateway.name);
    return this.#settle(name, () => this.#deps.state.resolveGateway(gateway));
  }

  /** Whether what is known of `name` may be decided on, or why not. */
  async #settle(name: string, look: () => unknown): Promise<ConnectionFailure | undefined> {
    const last = this.#answers.get(name);
    const known = look() !== undefined;
    if (last !== undefined && (known || this.#isFresh(last))) return undefined;
    const answer = await this.#ask(name);
    // Who is known without having been asked for, or was nobody before, stays so until told.
    const stands = look() !== undefined || last?.found === false;
    if (answer === "absent" || (stands && answer !== "limit")) return undefined;
    return answer === "limit"
      ? limitReached("look-ups", `${name} is not asked for: too much is asked for already`)
      : failure("unknown-destination", `${name}: ${WHY_UNKNOWN[answer]}; nothing is sent there`);
  }

  /** What was found and is not there any more may be somebody else's now. */
  #isFresh({ found, at }: LastAnswer): boolean {
    return !found && this.#deps.now() - at < LOOK_UP_ABSENT_MS;
  }

  #ask(name: string): Promise<Answer> {
    if (this.#waiters >= LOOK_UPS_WAITING) return Promise.resolve("limit");
    this.#waiters++;
    return new Promise<Answer>((resolve) => {
      const waiting = this.#waiting.get(name) ?? new Set();
      const done = (answer: Answer): void => {
        clearTimeout(timer);
        this.#waiters--;
        waiting.delete(done);
        if (waiting.size === 0) this.#waiting.delete(name);
        resolve(answer);
      };
      const timer = setTimeout(() => done("late"), LOOK_UP_WAIT_MS);
      waiting.add(done);
      if (this.#waiting.has(name)) return;
      this.#waiting.set(name, waiting);
      this.#deps.ask(name);
    });
  }

  #answer(name: string, answer: "found" | "absent", last: LastAnswer): void {
    this.#answers.set(name, last);
    this.#tell(name, answer);
  }

  #tell(name: string, answer: Answer): void {
    for (const done of this.#waiting.get(name) ?? []) done(answer);
  }
}

const WHY_UNKNOWN = {
  found: "the control plane knows it, but its record cannot be used",
  late: `the control plane has not said within ${LOOK_UP_WAIT_MS / 1000} s who it is`,
} as const;

/** For `mention`: whoever is at an address. */
export function addressName(network: string, ip: IpAddress): string {
  return networkAddressKey({ network, ip });
}
