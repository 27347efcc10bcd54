/** Certificates and keys as they are now: from texts, or from files that are rotated. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { CredentialFile } from "#common/kube-client/credential-file.ts";
import type { TlsMaterial } from "#common/kube-client/kube-connection.ts";

/** A text that is known, or the file that has it. */
export type TextSource = string | CredentialFile;

export interface TlsSources {
  readonly ca?: TextSource | undefined;
  readonly cert?: TextSource | undefined;
  readonly key?: TextSource | undefined;
  readonly servername?: string | undefined;
  readonly rejectUnauthorized: boolean;
}

export class TlsFiles {
  readonly #sources: TlsSources;
  #last: TlsMaterial | undefined;

  constructor(sources: TlsSources) {
    this.#sources = sources;
  }

  /** The same object until one of the files says something else. */
  async read(): Promise<TlsMaterial> {
    const { ca, cert: certSource, key: keySource, ...rest } = this.#sources;
    const texts: Pick<TlsMaterial, "ca" | "cert" | "key"> = {
      ca: await textOf(ca),
      cert: await textOf(certSource),
      key: await textOf(keySource),
    };
    const last = this.#last;
    const isSame = (a: typeof texts, b: typeof texts): boolean =>
      a.ca === b.ca && a.cert === b.cert && a.key === b.key;
    if (last !== undefined && isSame(last, texts)) return last;
    // A certificate whose key is not there yet: somebody is in the middle of replacing both.
    const isHalf = last !== undefined && !belongTogether(texts.cert, texts.key);
    const { cert, key } = isHalf ? last : texts;
    if (last !== undefined && isSame(last, { ca: texts.ca, cert, key })) return last;
    this.#last = { ...rest, ca: texts.ca, cert, key };
    return this.#last;
  }
}

function belongTogether(cert: string | undefined, key: string | undefined): boolean {
  if (cert === undefined || key === undefined) return cert === key;
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

async function textOf(source: TextSource | undefined): Promise<string | undefined> {
  return typeof source === "object" ? source.read() : source;
}
