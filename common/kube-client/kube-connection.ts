/** How a server is reached and what proves who we are: what every way to connect comes down to. */

/** What TLS is made with; the same object as long as nothing changed. */
export interface TlsMaterial {
  /** PEM; absent: the system's roots. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name that the server's certificate must have, where it is not the host's. */
  readonly servername?: string | undefined;
  /** False only where the user said `insecure-skip-tls-verify`. */
  readonly rejectUnauthorized: boolean;
}

export interface KubeConnection {
  /** `https:`, or `http:` to this machine itself. */
  readonly server: URL;
  /** Files are read again when they change. Throws MeshError where they cannot be had. */
  tls(): Promise<TlsMaterial>;
  /** Authorization and the like, for one request. Throws MeshError. */
  headers(): Promise<Readonly<Record<string, string>>>;
  /**
   * The server answered 401: what was remembered is forgotten. True if asking again with what is
   * had now may help.
   */
  refused(): Promise<boolean>;
}
