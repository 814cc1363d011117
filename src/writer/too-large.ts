import { RecordTooLargeError } from '../core/errors.ts'

/** Of an append that would take `size` bytes of the log, where `most` are allowed. */
export function tooLarge(size: number, most: number): RecordTooLargeError {
  return new RecordTooLargeError(`the append takes ${size} bytes in the log, the most is ${most}`)
}
