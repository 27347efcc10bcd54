/** The bounds of L7 authorization at a waypoint. */

/** Notes of AUDIT policies and dry runs that one request gets; further ones are left out. */
export const NOTES_PER_REQUEST = 16;
