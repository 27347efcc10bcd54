/** The bounds of the xDS codecs. */

/** Unreadable parts of one policy that are told of; further ones are left out of the list. */
export const UNREADABLE_NOTES = 8;
