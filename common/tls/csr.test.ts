import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { MeshError } from "#common/runtime/errors.ts";
import { p256, TEST_IDENTITY } from "./authority-fixture.ts";
import { createSigningRequest } from "./csr.ts";
import * as der from "./der-writer.ts";
import { MAX_CSR_BYTES } from "./limits.ts";
import { publicKeyOfCsr } from "./parse-csr.ts";
import { fromPem, toPem } from "./pem.ts";
import { signed } from "./x509-structures.ts";

const LABEL = "CERTIFICATE REQUEST";

function requestFor(publicKey: KeyObject, signer: KeyObject): string {
  const spki = der.encoded(publicKey.export({ format: "der", type: "spki" }));
  const info = der.sequence(der.integer(0), der.sequence(), spki, der.contextConstructed(0));
  return toPem(
    LABEL,
    signed(signer, () => info),
  );
}

function refusesWith(code: string, csr: string): void {
  assert.throws(() => publicKeyOfCsr(csr), { name: "MeshError", code });
}

test("the CA gets the public key that the requester made", () => {
  const { csrPem, publicKey, privateKeyPem } = createSigningRequest(TEST_IDENTITY);
  assert.ok(publicKeyOfCsr(csrPem).equals(publicKey));
  assert.equal(createPrivateKey(privateKeyPem).asymmetricKeyDetails?.namedCurve, "prime256v1");
});

test("every request has a key of its own", () => {
  const keys = [1, 2].map(() => createSigningRequest(TEST_IDENTITY).publicKey);
  assert.ok(keys[0] && keys[1] && !keys[0].equals(keys[1]));
});

test("a request signed by another key than its own is refused", () => {
  refusesWith("CSR_SIGNATURE_INVALID", requestFor(p256().publicKey, p256().privateKey));
});

test("keys other than ECDSA P-256 are refused", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const explicit = generateKeyPairSync("ec", { namedCurve: "P-256", paramEncoding: "explicit" });
  for (const { publicKey, privateKey } of [rsa, p384, explicit]) {
    refusesWith("CSR_KEY_UNSUPPORTED", requestFor(publicKey, privateKey));
  }
});

test("a point that is not on the curve is refused", () => {
  const csr = fromPem(createSigningRequest(TEST_IDENTITY).csrPem, [LABEL]);
  assert.ok(csr);
  const point = csr.indexOf(Buffer.from("03420004", "hex")) + 4;
  csr.fill(0x11, point, point + 64);
  refusesWith("CSR_KEY_UNSUPPORTED", toPem(LABEL, csr));
});

test("what is not one PEM block of PKCS#10 is refused", () => {
  const { csrPem } = createSigningRequest(TEST_IDENTITY);
  const wrong = ["", "garbage", csrPem + csrPem, csrPem.replaceAll(LABEL, "CERTIFICATE")];
  for (const text of wrong) refusesWith("CSR_MALFORMED", text);
  refusesWith("CSR_MALFORMED", toPem(LABEL, Buffer.from("3003020100", "hex")));
  refusesWith("CSR_TOO_LARGE", csrPem + "\n".repeat(MAX_CSR_BYTES));
});

test("the older PEM label and Windows line ends are accepted", () => {
  const { csrPem } = createSigningRequest(TEST_IDENTITY);
  publicKeyOfCsr(csrPem.replaceAll(LABEL, `NEW ${LABEL}`).replaceAll("\n", "\r\n"));
});

test("a damaged request is refused, or only damaged where nothing is read", () => {
  const { csrPem, publicKey } = createSigningRequest(TEST_IDENTITY);
  const good = fromPem(csrPem, [LABEL]);
  assert.ok(good);
  const damage = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }));
  fc.assert(
    fc.property(damage, ([at, flip]) => {
      const bytes = Buffer.from(good);
      bytes[at] = (bytes[at] ?? 0) ^ flip;
      try {
        assert.ok(publicKeyOfCsr(toPem(LABEL, bytes)).equals(publicKey));
        assert.fail(`byte ${at} changed, and the signature still counts`);
      } catch (error) {
        assert.ok(error instanceof MeshError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});
