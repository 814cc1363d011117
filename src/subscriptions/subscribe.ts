import { checkSignal } from '../core/abort-signal.ts'
import { InvalidArgumentError } from '../core/errors.ts'
import { encodeStreamName } from '../core/names.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { checkWhole } from '../core/whole-numbers.ts'
import { type EventFilter, EventSelection } from '../streams/event-filter.ts'
import { checkedFrom, type FollowerDesk } from './follower-desk.ts'
import { CursorSubscription } from './subscription.ts'

export interface SubscribeOptions {
  /** The events of this stream alone; it need not exist yet. */
  readonly stream?: string | undefined
  /**
   * Inclusive: the first event at or behind it. With `stream` a revision, otherwise a position; 'start' (default), or 'end' for
   * what is committed from now on.
   */
  readonly from?: number | 'start' | 'end' | undefined
  /** Exclusive: the first event behind this revision or position, such as the last one that was seen. */
  readonly after?: number | undefined
  /** Only these events. */
  readonly filter?: EventFilter | undefined
  /** Streams whose name begins with `$` are left out unless this is true, or one of them is `stream`. */
  readonly includeSystem?: boolean | undefined
  /** Ends the subscription: who waits for the next event gets the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

const OPTIONS: ReadonlySet<string> = new Set<keyof SubscribeOptions>([
  ...(['stream', 'from', 'after', 'filter', 'includeSystem', 'signal'] as const),
])

/** @throws InvalidArgumentError */
export function subscribe(desk: FollowerDesk, options: SubscribeOptions): CursorSubscription {
  checkOptionNames(options, OPTIONS)
  const { stream, includeSystem, filter, signal } = options
  checkSignal(signal)
  const from = startOf(options)
  const { tail } = desk
  const selection = new EventSelection(filter, includeSystem)
  // Of one stream, its name leaves nothing out.
  const ofStream = new EventSelection(filter, true)
  if (stream !== undefined) encodeStreamName(stream)
  const place = from === 'end' ? null : checkedFrom(from, 0)
  const begin = (end: number) =>
    stream === undefined ? desk.logCursor(selection, place ?? end) : desk.streamCursor(stream, ofStream, place, end)
  return new CursorSubscription(place === null ? desk.endCursor(begin) : begin(0), tail, { signal })
}

function startOf({ from, after }: SubscribeOptions): number | 'start' | 'end' | undefined {
  if (after === undefined) return from
  if (from !== undefined) throw new InvalidArgumentError('a subscription begins from or after, not both')
  return checkWhole('after', after, 0) + 1
}
