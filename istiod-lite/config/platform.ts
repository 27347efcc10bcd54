/**
 * What istiod-lite runs on: a folder of YAML, or Kubernetes. Both give the same parts, so that
 * nothing beyond this folder knows which of them it is.
 */
import type { ObjectChange } from "#common/kubernetes/objects.ts";
import type { CaStore } from "#istiod-lite/ca/ca-material.ts";
import type { LiveAuthority } from "#istiod-lite/ca/live-authority.ts";
import type { TokenReviewer } from "#istiod-lite/ca/token-review.ts";
import type { Leadership } from "#istiod-lite/config/leadership.ts";
import type { ConfigSource, OwnedObjectsWriter, StatusWriter } from "#istiod-lite/config/source.ts";

export interface Platform {
  readonly source: ConfigSource;
  /** What every replica derives alike, so that only the leader may write it. */
  readonly statusWriter: StatusWriter;
  /** What only the replica knows that a ztunnel told it. */
  readonly reportWriter: StatusWriter;
  /** Undefined where nobody runs anything for this control plane. */
  readonly ownedObjects: OwnedObjectsWriter | undefined;
  readonly tokens: TokenReviewer;
  readonly ca: CaStore;
  readonly leadership: Leadership;
  /**
   * Whether the node has a ztunnel that is ready, though none of it is connected here; undefined
   * where nobody knows.
   */
  hasReadyZtunnel(node: string): boolean | undefined;
  /** What this process itself runs as, for waypoints to run too; undefined where nobody knows. */
  ownImage(): Promise<string | undefined>;
  /**
   * Whether ztunnel is leaving all nodes for good, that of the pod of this name too. Rejects where
   * that cannot be seen now.
   */
  areZtunnelsRemoved(podName: string): Promise<boolean>;
  /** Takes what the registry has taken as well; does the platform's own part with it. */
  apply(changes: readonly ObjectChange[]): void;
  /** Everything has been read: from now on this process may lead. */
  start(authority: LiveAuthority): void;
  /** Writes nothing more, and lets others lead. */
  close(): Promise<void>;
}
