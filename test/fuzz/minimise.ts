/** Makes an input smaller as long as it fails: first without parts, then with plainer bytes. */

const PLAIN_BYTE = 0x61;

/** `fails` is asked at most `maxTries` times. Returns `input` if nothing smaller fails. */
export function minimise(
  input: Buffer,
  fails: (candidate: Buffer) => boolean,
  maxTries: number,
): Buffer {
  let tries = 0;
  const failing = (candidate: Buffer): boolean => tries++ < maxTries && fails(candidate);
  const short = withoutParts(input, failing);
  return withPlainBytes(short, failing);
}

/** Halves first, then ever smaller parts, until no single byte can go. */
function withoutParts(input: Buffer, failing: (candidate: Buffer) => boolean): Buffer {
  let best = input;
  for (let length = Math.ceil(best.length / 2); length >= 1; length = Math.floor(length / 2)) {
    for (let at = 0; at < best.length; ) {
      const candidate = Buffer.concat([best.subarray(0, at), best.subarray(at + length)]);
      if (failing(candidate)) best = candidate;
      else at += length;
    }
  }
  return best;
}

function withPlainBytes(input: Buffer, failing: (candidate: Buffer) => boolean): Buffer {
  let best = input;
  for (let at = 0; at < best.length; at++) {
    if (best[at] === PLAIN_BYTE) continue;
    const candidate = Buffer.from(best);
    candidate[at] = PLAIN_BYTE;
    if (failing(candidate)) best = candidate;
  }
  return best;
}
