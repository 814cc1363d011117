import { checkSignal } from '../core/abort-signal.ts'
import { InvalidArgumentError } from '../core/errors.ts'
import { shown } from '../core/json-text.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { checkFrom, checkWhole } from '../core/whole-numbers.ts'
import type { EventFilter } from './event-filter.ts'

export interface ReadStreamOptions {
  /** A revision, 'start' or 'end'; inclusive: the first event at or after it, in reading direction. */
  readonly from?: number | 'start' | 'end' | undefined
  /** Backwards begins at the end by default; from 'start' it gives the first event alone. */
  readonly direction?: 'forwards' | 'backwards' | undefined
  /** No more events than this; all by default. */
  readonly maxCount?: number | undefined
  /** Ends the read: who waits for the next events gets the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

export interface ReadAllOptions {
  /** A position, 'start' or 'end'; inclusive: the first event at or after it, in reading direction. */
  readonly from?: number | 'start' | 'end' | undefined
  /** Backwards begins at the end by default; from 'start' it gives the first event alone. */
  readonly direction?: 'forwards' | 'backwards' | undefined
  /** No more events than this; all by default. */
  readonly maxCount?: number | undefined
  /** Only these events; maxCount counts them alone. */
  readonly filter?: EventFilter | undefined
  /** Streams whose name begins with `$` are left out unless this is true. */
  readonly includeSystem?: boolean | undefined
  /** Ends the read: who waits for the next events gets the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

const READ_STREAM_OPTIONS: ReadonlySet<string> = new Set<keyof ReadStreamOptions>([
  ...(['from', 'direction', 'maxCount', 'signal'] as const),
])
const READ_ALL_OPTIONS: ReadonlySet<string> = new Set<keyof ReadAllOptions>([
  ...(['from', 'direction', 'maxCount', 'filter', 'includeSystem', 'signal'] as const),
])

/** Where a read begins and how it goes on. */
export interface ReadCourse {
  readonly from: number | 'start' | 'end'
  readonly backwards: boolean
  readonly maxCount: number
}

/** Before the first event there is none: backwards from the start it is read alone, whichever it is by now. */
export function courseOf({ from, direction, maxCount }: ReadStreamOptions): ReadCourse {
  const count = maxCount ?? Number.POSITIVE_INFINITY
  const backwards = direction === 'backwards'
  if (backwards && from === 'start') return { from, backwards: false, maxCount: Math.min(count, 1) }
  return { from: from ?? (backwards ? 'end' : 'start'), backwards, maxCount: count }
}

/** @returns the options of the call, whatever the caller does with his later. @throws InvalidArgumentError that names the option. */
export function checkReadStream(options: ReadStreamOptions): ReadStreamOptions {
  return checked(options, READ_STREAM_OPTIONS)
}

/**
 * Those that a read of one stream has, too; the others are left to who makes a selection of them.
 * @returns the options of the call, whatever the caller does with his later. @throws InvalidArgumentError that names the option.
 */
export function checkReadAll(options: ReadAllOptions): ReadStreamOptions {
  return checked(options, READ_ALL_OPTIONS)
}

function checked(options: ReadStreamOptions | ReadAllOptions, names: ReadonlySet<string>): ReadStreamOptions {
  checkOptionNames(options, names)
  const { direction, maxCount, from, signal } = options
  checkSignal(signal)
  if (direction !== undefined && direction !== 'forwards' && direction !== 'backwards') {
    throw new InvalidArgumentError(`direction must be 'forwards' or 'backwards', got ${shown(direction)}`)
  }
  if (maxCount !== undefined) checkWhole('maxCount', maxCount, 0)
  checkFrom(from)
  return { direction, maxCount, from, signal }
}
