import { InvalidArgumentError } from '../core/errors.ts'
import { shown } from '../core/json-text.ts'
import { encodeStreamName } from '../core/names.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { wholeOption } from '../core/whole-numbers.ts'
import { type EventFilter, EventSelection } from '../streams/event-filter.ts'
import { checkedFrom } from './follower-desk.ts'

/**
 * Who gets the next message. 'round-robin': one member after the other. 'single': the same one, while it can take more.
 * 'pinned': messages of one stream go to the same member, so that they are in order as long as none is retried.
 */
export type GroupStrategy = 'round-robin' | 'single' | 'pinned'

/** Everything is optional. Names and defaults are those of KurrentDB's persistent subscriptions. */
export interface GroupOptions {
  /** The events of this stream alone. */
  readonly stream?: string | undefined
  /** Only these events. */
  readonly filter?: EventFilter | undefined
  /** Where a group begins that has no checkpoint: a position, with `stream` a revision; 'start' (default), or 'end'. */
  readonly from?: number | 'start' | 'end' | undefined
  readonly strategy?: GroupStrategy | undefined
  /** A message that is not settled so long after a member got it by `next` is retried; 30,000 ms. */
  readonly messageTimeoutMs?: number | undefined
  /** How often a message is retried before it is parked; 10. */
  readonly maxRetryCount?: number | undefined
  /** Messages that wait in memory while the group catches up; 500. */
  readonly historyBufferSize?: number | undefined
  /** Messages that wait in memory once it has caught up; 500. */
  readonly liveBufferSize?: number | undefined
  /** A checkpoint is written so long after a message was settled, if there are enough of them; 1,000 ms. */
  readonly checkPointAfterMs?: number | undefined
  /** Fewer settled messages than this write no checkpoint, except at close; 5. */
  readonly minCheckPointCount?: number | undefined
  /** So many settled messages write one at once; 1,000. */
  readonly maxCheckPointCount?: number | undefined
  /** Members at a time; 0 (default) is any number. */
  readonly maxSubscriberCount?: number | undefined
}

export interface CheckedGroupOptions {
  readonly stream: string | undefined
  readonly selection: EventSelection
  readonly from: number | 'end'
  readonly strategy: GroupStrategy
  readonly messageTimeoutMs: number
  readonly maxRetryCount: number
  readonly historyBufferSize: number
  readonly liveBufferSize: number
  readonly checkPointAfterMs: number
  readonly minCheckPointCount: number
  readonly maxCheckPointCount: number
  readonly maxSubscriberCount: number
}

const NAMES: ReadonlySet<string> = new Set<keyof GroupOptions>([
  ...(['stream', 'filter', 'from', 'strategy', 'messageTimeoutMs', 'maxRetryCount', 'historyBufferSize'] as const),
  ...(['liveBufferSize', 'checkPointAfterMs', 'minCheckPointCount', 'maxCheckPointCount', 'maxSubscriberCount'] as const),
])

/** @throws InvalidArgumentError that names the option. */
export function checkGroupOptions(options: GroupOptions): CheckedGroupOptions {
  checkOptionNames(options, NAMES)
  const { stream, filter, from, strategy = 'round-robin' } = options
  if (stream !== undefined) encodeStreamName(stream)
  if (strategy !== 'round-robin' && strategy !== 'single' && strategy !== 'pinned')
    throw new InvalidArgumentError(`strategy must be 'round-robin', 'single' or 'pinned', got ${shown(strategy)}`)
  const minCheckPointCount = wholeOption('minCheckPointCount', options.minCheckPointCount, 5, 1)
  const maxCheckPointCount = wholeOption('maxCheckPointCount', options.maxCheckPointCount, 1000, 1)
  if (minCheckPointCount > maxCheckPointCount)
    throw new InvalidArgumentError(`minCheckPointCount is ${minCheckPointCount}, above maxCheckPointCount, ${maxCheckPointCount}`)
  return {
    stream,
    // Of one stream, its name leaves nothing out.
    selection: new EventSelection(filter, stream !== undefined),
    from: from === 'end' ? 'end' : checkedFrom(from, 0),
    strategy,
    messageTimeoutMs: wholeOption('messageTimeoutMs', options.messageTimeoutMs, 30_000, 1),
    maxRetryCount: wholeOption('maxRetryCount', options.maxRetryCount, 10, 0),
    historyBufferSize: wholeOption('historyBufferSize', options.historyBufferSize, 500, 1),
    liveBufferSize: wholeOption('liveBufferSize', options.liveBufferSize, 500, 1),
    checkPointAfterMs: wholeOption('checkPointAfterMs', options.checkPointAfterMs, 1000, 1),
    minCheckPointCount,
    maxCheckPointCount,
    maxSubscriberCount: wholeOption('maxSubscriberCount', options.maxSubscriberCount, 0, 0),
  }
}
