/** node-forge's ASN.1 module alone: the whole package costs 40 ms and 8 MB more at every start. */
declare module "node-forge/lib/asn1.js" {
  import type { asn1 } from "node-forge";

  /** The published types know only a boolean second argument. */
  interface FromDerOptions {
    readonly strict: boolean;
    readonly parseAllBytes: boolean;
    readonly decodeBitStrings: boolean;
  }

  const module: Omit<typeof asn1, "fromDer"> & {
    fromDer(bytes: string, options: FromDerOptions): asn1.Asn1;
  };
  export = module;
}
