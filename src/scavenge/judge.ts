import type { RecordBatch } from '../log/record-batch.ts'

/** What becomes of a record. */
export const Verdict = {
  keep: 0,
  /** The event goes, and if something must be remembered of it, it is not that it was the last of its stream. */
  drop: 1,
  /** The event goes, and a stub remembers that it was the last of its stream. */
  dropHead: 2,
} as const

/**
 * Decides about a batch of verified records, in the order of the log: one verdict for each of `batch.offsets`. Only those of
 * prepares and stubs count. To drop a stub makes it forget its stream; both other verdicts keep that.
 *
 * The batch is the judge's to read until its promise settles.
 */
export type Judge = (batch: RecordBatch) => Promise<Uint8Array>
