/** What bounds a store, and how much its stages take at a time; finer measures stand where they are used. Sizes in bytes. */

export const MIB = 1024 * 1024
export const KIB = 1024

/** Longest stream name, in UTF-8 bytes. */
export const MAX_STREAM_NAME_SIZE = 1024
/** Longest event type, in UTF-8 bytes; its length is one byte on disk. */
export const MAX_EVENT_TYPE_SIZE = 255
/** The largest append, framing included: what a reader may have to hold at once. */
export const MAX_APPEND_SIZE = 16 * MIB

export const DEFAULT_CHUNK_SIZE = 64 * MIB
/** Small enough for tests that roll over every few records, large enough for header, footer and one record. */
export const MIN_CHUNK_SIZE = 4 * KIB
/** A block table of 4 bytes per 64 KiB then stays below 64 KiB. */
export const MAX_CHUNK_SIZE = 1024 * MIB

/** The unit in which a completed chunk is verified. */
export const BLOCK_SIZE = 64 * KIB

/** Recent bytes are kept in slabs of this size; a larger append gets a slab of its own. */
export const SLAB_SIZE = MIB
/** The writer takes at most this much from its queue before it looks at the clock. */
export const SLICE_SIZE = MIB
/** In 'memory', encoding waits when more than this has not been written. */
export const MAX_UNWRITTEN_SIZE = 32 * MIB
/** While a sync runs, the next group is handed to the file once it has this size. */
export const WRITE_AHEAD_SIZE = MIB / 4
/** In 'os', how often written bytes are synced. */
export const OS_SYNC_DELAY_MS = 1000
/** Acks published before the event loop gets a turn. */
export const ACK_SLICE_COUNT = 1024
/** Bytes of log whose acks are published before the event loop gets a turn: the disk gets what follows them meanwhile. */
export const ACK_SLICE_SIZE = MIB / 2

/** Zeros ahead of the tail: what a new or quiet chunk gets. */
export const ZERO_RUN_MIN_SIZE = 256 * KIB
/** Zeros ahead of the tail under load. */
export const ZERO_RUN_MAX_SIZE = 4 * MIB
/** Groups larger than this amortise the file growth themselves and get no zeros ahead. */
export const ZERO_RUN_GROUP_LIMIT = 256 * KIB

/** An idle writer proves its last group within this time. */
export const PROOF_DELAY_MS = 20

export const DEFAULT_FLUSH_DELAY_MS = 2
export const DEFAULT_MAX_PENDING_BYTES = 64 * MIB
export const DEFAULT_MAX_PENDING_APPENDS = 65_536
export const DEFAULT_CACHE_BYTES = 32 * MIB

/** Records have 6 bytes for the time. A clock that says more, or no number, says nothing: the time stays where it was. */
export const MAX_CREATED_MS = 2 ** 48 - 1
