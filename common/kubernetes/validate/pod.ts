/** Pods, and the pod templates of Deployments. */
import type { Deployment, PodSpec } from "#common/kubernetes/objects.ts";
import { container } from "#common/kubernetes/validate/container.ts";
import { dnsSubdomain, ipAddress, timestamp } from "#common/kubernetes/validate/formats.ts";
import {
  annotations,
  checkMeshLabels,
  conditions,
  defineKind,
  labels,
} from "#common/kubernetes/validate/metadata.ts";
import {
  boolean,
  integer,
  list,
  object,
  oneOf,
  type Report,
  type Schema,
  text,
} from "#common/kubernetes/validate/schema.ts";
import { volume } from "#common/kubernetes/validate/volume.ts";

const podSpec: Schema = object<PodSpec>(
  {
    nodeName: text(dnsSubdomain),
    nodeSelector: labels,
    serviceAccountName: text(dnsSubdomain),
    hostNetwork: boolean,
    restartPolicy: oneOf("Always", "OnFailure", "Never"),
    terminationGracePeriodSeconds: integer(0),
    containers: list<{ name: string }>(container, { min: 1, unique: ({ name }) => `name ${name}` }),
    volumes: list<{ name: string }>(volume, { unique: ({ name }) => `name ${name}` }),
  },
  { required: ["containers"], unread: ["serviceAccount"], check: checkMounts },
);

function checkMounts(spec: PodSpec, report: Report): void {
  const volumes = new Set(spec.volumes?.map(({ name }) => name));
  spec.containers.forEach(({ volumeMounts = [] }, i) => {
    volumeMounts.forEach((mount, j) => {
      if (volumes.has(mount.name)) return;
      const path = ["containers", i, "volumeMounts", j, "name"];
      report("error", path, `the pod has no volume named ${mount.name}`);
    });
  });
}

export const pod = defineKind({
  kind: "Pod",
  name: dnsSubdomain,
  required: ["spec"],
  fields: {
    spec: podSpec,
    status: object(
      {
        phase: oneOf("Pending", "Running", "Succeeded", "Failed", "Unknown"),
        podIP: text(ipAddress),
        podIPs: list(object({ ip: text(ipAddress) }, { required: ["ip"] })),
        hostIP: text(ipAddress),
        conditions,
        startTime: text(timestamp),
        reason: text(),
        message: text(),
      },
      { unread: ["hostIPs"] },
    ),
  },
});

type DeploymentSpec = Deployment["spec"];

export const deployment = defineKind({
  kind: "Deployment",
  group: "apps",
  name: dnsSubdomain,
  required: ["spec"],
  fields: {
    spec: object<DeploymentSpec>(
      {
        replicas: integer(0, 10_000),
        selector: object({ matchLabels: labels }, { required: ["matchLabels"] }),
        template: object(
          { metadata: object({ labels, annotations }), spec: podSpec },
          { required: ["spec"] },
        ),
      },
      { required: ["selector", "template"], check: checkDeployment },
    ),
  },
});

function checkDeployment(spec: DeploymentSpec, report: Report): void {
  const wanted = Object.entries(spec.selector.matchLabels ?? {});
  const given = spec.template.metadata?.labels ?? {};
  if (wanted.length === 0)
    report("error", ["selector", "matchLabels"], "selects no pods: it is empty");
  for (const [key, value] of wanted) {
    if (given[key] === value) continue;
    const hint = `add ${key}: ${JSON.stringify(value)} to spec.template.metadata.labels`;
    report("error", ["selector", "matchLabels", key], "the pod template lacks this label", hint);
  }
  const policy = spec.template.spec.restartPolicy;
  if (policy !== undefined && policy !== "Always") {
    report("error", ["template", "spec", "restartPolicy"], "must be Always in a Deployment");
  }
  checkMeshLabels(given, ["template", "metadata", "labels"], report);
}
