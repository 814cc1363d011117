import { RecordTooLargeError } from '../core/errors.ts'

/** Of an append of which more bytes would stand in the log than one may have. */
export function tooLarge(size: number, most: number): RecordTooLargeError {
  return new RecordTooLargeError(`the append takes ${size} bytes in the log, the most is ${most}`)
}
