/** What has an address in the mesh: the `Address` resource of the wire. */
import type { Service } from "./service.ts";
import type { Workload } from "./workload.ts";

export type MeshAddress = (
  | { readonly kind: "workload"; readonly workload: Workload }
  | { readonly kind: "service"; readonly service: Service }
) & {
  /** What the wire said of it that this version does not know, for the control plane to hear. */
  readonly notUnderstood?: readonly string[];
};
