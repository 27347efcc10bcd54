/** Bounds of header compression that no user sets, and what happens at each. */

/**
 * Both tables begin with this (RFC 9113 6.5.2). Ours for sending stays at it, whatever the peer
 * allows: it is held for each connection.
 */
export const TABLE_BYTES = 4_096;

/**
 * Bytes behind an integer's first: with them it reaches 2^32, which is more than any length or
 * index here can be. A longer one ends the connection (RFC 7541 5.1).
 */
export const INTEGER_BYTES = 5;

/**
 * Up to this length a string is tried in Huffman's code, which takes five times as long as copying
 * it. Longer ones that repeat are in the table; of those that do not, each would be paid for.
 */
export const HUFFMAN_CHARACTERS = 24;

/** Up to this length a string is copied by us: calling what copies faster takes longer. */
export const COPIED_CHARACTERS = 48;

/** Bytes of a decoded string for which there is a place already; others get one of their own. */
export const DECODED_STRING_BYTES = 16 * 1_024;

/** Bytes of an encoded block for which there is a place already; it is enlarged for others. */
export const ENCODED_BLOCK_BYTES = 16 * 1_024;

/** A larger place is not kept for the next block. */
export const KEPT_BLOCK_BYTES = 64 * 1_024;

/** Names an encoder remembers; beyond it those are forgotten that are not in its table. */
export const REMEMBERED_NAMES = 256;

/**
 * Values of one name that went into the table without being used again. Beyond it they are sent
 * as they are, and do not drive out what repeats...
 */
export const UNUSED_VALUES = 8;

/** ...but for one in so many, which shows whether they repeat by now. */
export const VALUES_PER_TRIAL = 16;
