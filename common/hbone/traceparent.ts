/** W3C trace context: one trace per proxied connection, begun by the client's ztunnel. */

/** `00-<32 hex>-<16 hex>-00`; `random` is uniform in [0, 1). */
export function makeTraceparent(random: () => number): string {
  const trace = hex8(random) + hex8(random) + hex8(random) + hex8(random);
  return `00-${trace}-${hex8(random)}${hex8(random)}-00`;
}

/** Eight digits, never all zero: an all-zero id is invalid. */
function hex8(random: () => number): string {
  return (1 + Math.floor(random() * 0xfffffffe)).toString(16).padStart(8, "0");
}
