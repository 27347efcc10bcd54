/** What a pod mounts: the parts of core/v1 Volume that a kubelet here fills. */

export interface Volume {
  readonly name: string;
  readonly configMap?: VolumeSource["configMap"];
  readonly emptyDir?: object;
  /** Several sources in one directory. */
  readonly projected?: { readonly sources: readonly VolumeSource[] };
  readonly downwardAPI?: { readonly items: readonly DownwardApiFile[] };
}

export interface DownwardApiFile {
  readonly path: string;
  readonly fieldRef: { readonly fieldPath: string };
}

/** One source of a projected volume. */
export interface VolumeSource {
  readonly serviceAccountToken?: {
    /** Of whom it is shown to; the API server's own unless said otherwise. */
    readonly audience?: string;
    readonly expirationSeconds?: number;
    readonly path: string;
  };
  readonly configMap?: {
    readonly name: string;
    readonly items?: readonly { readonly key: string; readonly path: string }[];
    readonly optional?: boolean;
  };
  readonly downwardAPI?: { readonly items: readonly DownwardApiFile[] };
}
