/** How many policies this proxy does not understand, for an alert: of our own. */
import { Gauge, type Registry } from "prom-client";
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";

export function registerUnreadablePolicies(
  registry: Registry,
  state: Pick<ProxyState, "policies" | "unreadablePolicies">,
): void {
  const gauge = new Gauge({
    name: "ambient_unreadable_policies",
    help:
      "Policies not understood: enforced at their strictest, or held, " +
      "so that nobody new is let in to whom they may cover",
    labelNames: ["effect"],
    registers: [registry],
    collect: () => {
      let strictest = 0;
      for (const { unreadable } of state.policies()) if (unreadable !== undefined) strictest++;
      gauge.set({ effect: "strictest" }, strictest);
      gauge.set({ effect: "held" }, state.unreadablePolicies().size);
    },
  });
}
