import { InvalidArgumentError } from './errors.ts'
import type { JsonValue } from './events.ts'
import { jsonTextOf } from './json-text.ts'
import { checkWhole } from './whole-numbers.ts'

/** What is kept of a stream, and whatever else its owner wants to note. Set as a whole; the last one counts. */
export interface StreamMetadata {
  /** Only so many of the last events are kept; from 1. */
  readonly maxCount?: number | undefined
  /** Only events younger than this are kept, in seconds; from 1. */
  readonly maxAge?: number | undefined
  /** Events with a lower revision are gone. */
  readonly truncateBefore?: number | undefined
  readonly [key: string]: JsonValue | undefined
}

/** @returns a copy: what stands in the log is what was checked. @throws InvalidArgumentError */
export function checkStreamMetadata(metadata: unknown): StreamMetadata {
  check(metadata)
  // A toJSON may say something else.
  const copy: unknown = JSON.parse(jsonTextOf(metadata, 'stream metadata'))
  check(copy)
  return copy
}

function check(metadata: unknown): asserts metadata is StreamMetadata {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata) || ArrayBuffer.isView(metadata)) {
    throw new InvalidArgumentError('stream metadata must be an object')
  }
  const { maxCount, maxAge, truncateBefore } = metadata as Record<string, unknown>
  if (maxCount !== undefined) checkWhole('maxCount', maxCount, 1)
  if (maxAge !== undefined) checkWhole('maxAge', maxAge, 1)
  if (truncateBefore !== undefined) checkWhole('truncateBefore', truncateBefore, 0)
}
