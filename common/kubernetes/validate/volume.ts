/** The volumes of a pod. Source: core/v1 Volume, as far as a kubelet here fills them. */

import { dnsLabel, dnsSubdomain, notEmpty } from "#common/kubernetes/validate/formats.ts";
import {
  boolean,
  integer,
  list,
  object,
  type Refusal,
  type Report,
  type Schema,
  text,
} from "#common/kubernetes/validate/schema.ts";
import type { VolumeSource } from "#common/kubernetes/volume-objects.ts";

/** Kubernetes refuses shorter ones. */
const MIN_TOKEN_SECONDS = 600;

const relativePath = text(inside);

const downwardItems = list(
  object(
    {
      path: relativePath,
      fieldRef: object({ fieldPath: text(notEmpty) }, { required: ["fieldPath"] }),
    },
    { required: ["path", "fieldRef"] },
  ),
);

const items = list(
  object({ key: text(notEmpty), path: relativePath }, { required: ["key", "path"] }),
);

const configMap = object(
  { name: text(dnsSubdomain), items, optional: boolean },
  { required: ["name"] },
);

const source = object<VolumeSource>(
  {
    serviceAccountToken: object(
      { audience: text(), expirationSeconds: integer(MIN_TOKEN_SECONDS), path: relativePath },
      { required: ["path"] },
    ),
    configMap,
    downwardAPI: object({ items: downwardItems }, { required: ["items"] }),
  },
  { check: checkSource },
);

export const volume: Schema = object(
  {
    name: text(dnsLabel),
    configMap,
    emptyDir: object({}),
    projected: object({ sources: list(source) }, { required: ["sources"] }),
    downwardAPI: object({ items: downwardItems }, { required: ["items"] }),
  },
  { required: ["name"] },
);

function inside(path: string): Refusal | undefined {
  const steps = path.split("/");
  if (path !== "" && steps.every((step) => step !== "" && step !== "." && step !== "..")) return;
  const message = `${JSON.stringify(path)} is no path below the volume`;
  return { message, hint: "a relative path without .. in it" };
}

function checkSource(value: VolumeSource, report: Report): void {
  const { serviceAccountToken, configMap: map, downwardAPI } = value;
  const given = [serviceAccountToken, map, downwardAPI].filter((each) => each !== undefined);
  if (given.length === 1) return;
  const message = "is not exactly one of serviceAccountToken, configMap, downwardAPI";
  report("error", [], message, "other sources are not supported");
}
