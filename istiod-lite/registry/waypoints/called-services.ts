/**
 * The services that a waypoint calls by itself: authorizers, rate limiters, collectors, key
 * servers.
 */
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import type { L7Policies, Telemetry } from "#common/model/waypoint/policy.ts";

type Called = Pick<BackendRef, "namespace" | "hostname" | "port">;

/** A host without a namespace is nobody's service; it is not among them. */
export function calledServices(
  policies: L7Policies,
  telemetry: Telemetry | undefined,
  clusterDomain: string,
): readonly Called[] {
  const called = [
    ...policies.authorizations.map(({ provider }) => provider),
    ...policies.rateLimits.map(({ global }) => global),
    telemetry?.tracing,
    ...policies.requestAuthentications.flatMap(({ rules }) =>
      rules.map(({ jwksUri = "" }) => serviceOf(jwksUri, clusterDomain)),
    ),
  ];
  return called.flatMap((each) => (each === undefined || each.namespace === "" ? [] : [each]));
}

/** `http://keys.auth/...`: the name of a Service, with or without the rest of its domain. */
function serviceOf(uri: string, clusterDomain: string): Called | undefined {
  const found = /^http:\/\/([a-z0-9-]+)\.([a-z0-9-]+)([a-z0-9.-]*)(?::(\d+))?(\/|$)/i.exec(uri);
  const [, name = "", namespace = "", rest = "", port = "80"] = found ?? [];
  if (found === null || !["", ".svc", `.svc.${clusterDomain}`].includes(rest)) return undefined;
  return { namespace, hostname: `${name}.${namespace}.svc.${clusterDomain}`, port: Number(port) };
}
