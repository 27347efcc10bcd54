/** What a pod is called in telemetry: its workload, and its canonical service and revision. */
import type { Pod } from "#common/kubernetes/objects.ts";
import type { WorkloadType } from "#common/model/workload.ts";

export interface WorkloadName {
  readonly name: string;
  readonly type: WorkloadType;
}

// A CronJob names its Jobs after the time they were due, in minutes (eight digits) or seconds
// (ten).
const CRON_JOB_RUN = /^(.+)-\d{8,10}$/;

/**
 * The workload that a pod belongs to, from its controller: the Deployment behind a ReplicaSet
 * (whose name ends in the pod's template hash), the CronJob behind a Job, any other controller by
 * its own name, or the pod itself. Source: istio/istio pkg/kube GetWorkloadMetaFromPod.
 */
export function workloadNameOf(pod: Pod): WorkloadName {
  const owners = pod.metadata.ownerReferences ?? [];
  const owner = owners.find(({ controller }) => controller === true) ?? owners[0];
  if (owner === undefined) return { name: pod.metadata.name, type: "pod" };
  const hash = pod.metadata.labels?.["pod-template-hash"];
  if (owner.kind === "ReplicaSet" && hash !== undefined && owner.name.endsWith(`-${hash}`)) {
    return { name: owner.name.slice(0, -hash.length - 1), type: "deployment" };
  }
  if (owner.kind === "Deployment") return { name: owner.name, type: "deployment" };
  if (owner.kind === "CronJob") return { name: owner.name, type: "cronjob" };
  if (owner.kind !== "Job") return { name: owner.name, type: "pod" };
  const run = CRON_JOB_RUN.exec(owner.name);
  return run === null
    ? { name: owner.name, type: "job" }
    : { name: run[1] ?? owner.name, type: "cronjob" };
}

/** Istio's canonical service: the first of three labels, else the workload's name. */
export function canonicalName(labels: Readonly<Record<string, string>>, workload: string): string {
  const { app } = labels;
  return (
    labels["service.istio.io/canonical-name"] || labels["app.kubernetes.io/name"] || app || workload
  );
}

/** Istio's canonical revision: the first of three labels, else "latest". */
export function canonicalRevision(labels: Readonly<Record<string, string>>): string {
  return (
    labels["service.istio.io/canonical-revision"] ||
    labels["app.kubernetes.io/version"] ||
    labels.version ||
    "latest"
  );
}
