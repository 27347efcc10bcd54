/** The programs of the mesh as the pods that a real cluster would show. */
import { randomUUID } from "node:crypto";
import type { Pod, Probe } from "#common/kubernetes/objects.ts";
import { ISTIO_NAMESPACE } from "#meshctl/local/objects/built-ins.ts";

export interface MeshPodSpec {
  readonly name: string;
  /** The label `app`, and the name of its service account. */
  readonly app: string;
  readonly container: string;
  readonly image: string;
  readonly nodeName?: string;
  readonly args: readonly string[];
  readonly readinessProbe: Probe;
}

/** A pod of istio-system with a fresh uid, on its node's network. */
export function meshPod(spec: MeshPodSpec): Pod {
  const { name, app, container, image, nodeName, args, readinessProbe } = spec;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: ISTIO_NAMESPACE,
      uid: randomUUID(),
      creationTimestamp: new Date().toISOString(),
      labels: { app },
    },
    spec: {
      ...(nodeName === undefined ? {} : { nodeName }),
      hostNetwork: true,
      serviceAccountName: app,
      containers: [
        { name: container, image, args, readinessProbe: { ...readinessProbe, periodSeconds: 1 } },
      ],
    },
  };
}
