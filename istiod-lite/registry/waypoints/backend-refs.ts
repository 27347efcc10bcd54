/** The backends that a port's routes lead to. */
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import type { PortConfig } from "#common/model/waypoint/resource.ts";

export function backendRefsOf({ http, tls = [], tcp = [] }: PortConfig): readonly BackendRef[] {
  const rules = http?.rules ?? [];
  return [
    ...rules.flatMap(({ backends, mirrors }) => [
      ...backends.flatMap(({ backend }) => backend ?? []),
      ...mirrors.map(({ backend }) => backend),
    ]),
    ...[...tls, ...tcp].flatMap(({ backends }) => backends.flatMap(({ backend }) => backend ?? [])),
  ];
}
