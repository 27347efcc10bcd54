/**
 * Whether a peer's certificate was revoked. OpenSSL has verified the peer's chain by then; here its
 * certificates are held against revocation lists, each of which counts for the certificates of the
 * very key that signed it. What no list speaks of is not revoked (as in Istio's ztunnel).
 */
import { type KeyObject, X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { MeshError } from "#common/runtime/errors.ts";
import { findPath } from "./certificate-path.ts";
import { isListed, isSignedBy, type RevocationList } from "./crl.ts";
import { MAX_PEER_CHAIN, MAX_REMEMBERED_CRL_ISSUERS } from "./limits.ts";
import { readPemCertificates } from "./pem.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";
import { readIssuerAndSerial } from "./x509-extensions.ts";

/** A certificate and the key that vouches for it. */
export interface ChainLink {
  /** DER of the issuer's name, hexadecimal. */
  readonly issuer: string;
  readonly issuerKey: KeyObject;
  /** Of the issuer's certificate. */
  readonly issuerFingerprint: string;
  readonly serial: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/** The peer's leaf first, without the root. */
export type PeerChain = readonly ChainLink[];

/**
 * The chain of a verified peer, to be kept for as long as its connection stands. Throws MeshError
 * PEER_CHAIN_UNKNOWN where the certificates at hand do not lead from the leaf to a root: then
 * nobody can say that none of them is revoked. `rootsPem` is what the peer was verified against.
 */
export function peerChainOf(socket: TLSSocket, rootsPem: string): PeerChain {
  const links: ChainLink[] = [];
  // Unlike the X509Certificate of the socket, this also knows the root that was not sent.
  let current = socket.getPeerCertificate(true);
  while (links.length <= MAX_PEER_CHAIN) {
    const issuer = current.issuerCertificate;
    if (issuer === undefined || current.raw === undefined) break;
    // A root is its own issuer, and so is what a peer with a stolen CA key puts in the root's
    // place.
    if (issuer.raw.equals(current.raw)) {
      if (links.length === 0 || !isRoot(current.fingerprint256, rootsPem)) break;
      return links;
    }
    links.push(linkOf(new X509Certificate(current.raw), new X509Certificate(issuer.raw)));
    current = issuer;
  }
  throw new MeshError("PEER_CHAIN_UNKNOWN", "the peer's chain does not lead to a root");
}

function isRoot(fingerprint: string, rootsPem: string): boolean {
  if (lastRoots.pem !== rootsPem) {
    const fingerprints = readPemCertificates(rootsPem).map((root) => root.fingerprint256);
    lastRoots = { pem: rootsPem, fingerprints: new Set(fingerprints) };
  }
  return lastRoots.fingerprints.has(fingerprint);
}

/** All certificates of a node have the same roots, but for the moments in which they change. */
let lastRoots = { pem: "", fingerprints: new Set<string>() };

/** The chain of one of our own certificates; empty where it leads to none of its own roots. */
export function ownChainOf(certificate: WorkloadCertificate): PeerChain {
  const [leaf, ...intermediates] = readPemCertificates(certificate.certChainPem);
  const roots = readPemCertificates(certificate.rootsPem);
  const verdict = leaf && findPath(leaf, intermediates, roots, certificate.notBefore);
  if (!verdict?.ok) return [];
  const issuers = [...verdict.path.slice(1), verdict.root];
  return verdict.path.map((one, index) => linkOf(one, issuers[index] ?? verdict.root));
}

/** Two CAs may bear one name: which of them is the issuer, only the signature says. */
function linkOf(certificate: X509Certificate, issuer: X509Certificate): ChainLink {
  const issuerKey = issuer.publicKey;
  if (!certificate.verify(issuerKey)) {
    throw new MeshError("PEER_CHAIN_UNKNOWN", "a certificate of the peer's chain is out of place");
  }
  const names = readIssuerAndSerial(certificate.raw);
  return {
    issuer: Buffer.from(names.issuer).toString("hex"),
    issuerKey,
    issuerFingerprint: issuer.fingerprint256,
    serial: Uint8Array.from(names.serial),
    notAfter: certificate.validToDate.getTime(),
  };
}

export class Revocations {
  readonly #byIssuer = new Map<string, RevocationList[]>();
  /** By list and fingerprint: verifying a list reads all of it. */
  readonly #signedBy = new Map<RevocationList, Map<string, boolean>>();
  #remembered = 0;

  constructor(lists: readonly RevocationList[]) {
    for (const list of lists) {
      const same = this.#byIssuer.get(list.issuer) ?? [];
      this.#byIssuer.set(list.issuer, [...same, list]);
    }
  }

  /** Whether any certificate of the chain was revoked by its own issuer. */
  hasRevoked(chain: PeerChain): boolean {
    return chain.some((link) => this.#isRevoked(link));
  }

  #isRevoked(link: ChainLink): boolean {
    const lists = this.#byIssuer.get(link.issuer) ?? [];
    return lists.some((list) => isListed(list, link.serial) && this.#isBy(list, link));
  }

  #isBy(list: RevocationList, { issuerKey, issuerFingerprint }: ChainLink): boolean {
    const known = this.#signedBy.get(list)?.get(issuerFingerprint);
    if (known !== undefined) return known;
    if (this.#remembered++ >= MAX_REMEMBERED_CRL_ISSUERS) {
      this.#signedBy.clear();
      this.#remembered = 0;
    }
    const is = isSignedBy(list, issuerKey);
    const verdicts = this.#signedBy.get(list) ?? new Map<string, boolean>();
    this.#signedBy.set(list, verdicts.set(issuerFingerprint, is));
    return is;
  }
}
