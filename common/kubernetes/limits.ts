/**
 * The bounds of reading configuration: how much of a folder, a file and a document is looked at.
 */

/**
 * A larger file is refused whole. Etcd refuses objects above 1.5 MiB, so no single object needs
 * more.
 */
export const MAX_FILE_BYTES = 1024 * 1024;

/** Files beyond this count are not read; one problem says so. */
export const MAX_FILES = 20_000;

/** Directories beyond this count are neither read nor watched; one problem says so. */
export const MAX_DIRECTORIES = 2_000;

/** Directories nested deeper are not entered; a problem names them. */
export const MAX_FOLDER_DEPTH = 16;

/**
 * Nodes (scalars, lists, maps) of one document with its aliases expanded; beyond it, it is refused.
 */
export const MAX_DOCUMENT_NODES = 100_000;

/** Nesting of one document with its aliases expanded; beyond it, the document is refused. */
export const MAX_DOCUMENT_DEPTH = 64;

/** Aliases (`*name`) in one document; beyond it, the document is refused. */
export const MAX_DOCUMENT_ALIASES = 100;

/** Problems kept of one document; a last one says that there are more. */
export const MAX_DOCUMENT_PROBLEMS = 20;

/** Files read at the same time; further ones wait. */
export const MAX_CONCURRENT_READS = 16;

/** A burst of file events is taken as one change this long after its last event. */
export const WATCH_DEBOUNCE_MS = 30;

/** A burst that does not end is looked at anyway after this long. */
export const WATCH_DEBOUNCE_MAX_MS = 150;

/** How often the whole folder is looked at although no event came: events can be lost. */
export const WATCH_POLL_MS = 2_000;

/** A look at the whole of a large folder is followed by a pause of this many times its length. */
export const WATCH_POLL_PAUSE_FACTOR = 50;

/** The same while some directory cannot be watched, so that looking is all there is. */
export const UNWATCHED_POLL_PAUSE_FACTOR = 20;

/** A file written in place this recently may still be half written: its last version counts. */
export const WRITE_SETTLE_MS = 25;

/** The same for a file that was emptied in place, as editors do before they write anew. */
export const EMPTY_SETTLE_MS = 300;

/** A file that is written in place without a pause is read as it is after this long. */
export const WRITE_SETTLE_MAX_MS = 1_000;

/** A file changed this recently is read again at the next look, whatever its timestamps say. */
export const TIMESTAMP_GRANULARITY_MS = 100;

/** Files whose writers are waited for at the same time; beyond it, all waits begin anew. */
export const MAX_WAITING_FILES = 1_000;

/** Paths to look at in one go; beyond it, the whole folder is looked at instead. */
export const MAX_PENDING_PATHS = 1_000;
