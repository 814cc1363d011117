import { KIB } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import type { ConditionTerms } from '../writer/append-terms.ts'
import type { AppendMessage } from '../writer/messages.ts'

/** Below so many bytes of log, what no condition asks for any more is not worth dropping. */
const PRUNE_SIZE = 128 * KIB

/**
 * What was written since the oldest condition that is on its way was looked at: what the writer must know of it without
 * reading. Empty as long as nobody uses conditions.
 */
export class RecentEvents {
  readonly #conditions = new Set<ConditionTerms>()
  #appends: AppendMessage[] = []
  /** Of all that is in `#appends`; null when something was taken from there, until it is asked for. */
  #last: LastPositions | null = null
  /** Of `#appends`, in the log: they hold what they wrote. */
  #size = 0
  /** What is not needed any more is dropped when there is so much: each is gone over a few times at most. */
  #pruneSize = PRUNE_SIZE

  watch(condition: ConditionTerms): void {
    this.#conditions.add(condition)
  }

  unwatch(condition: ConditionTerms): void {
    this.#conditions.delete(condition)
    if (this.#conditions.size === 0) this.#keep([])
    else if (this.#size > this.#pruneSize) this.#prune()
  }

  note(append: AppendMessage): void {
    if (this.#conditions.size === 0) return
    this.#appends.push(append)
    this.#size += append.size
    this.#last?.note(append)
  }

  forget(append: AppendMessage): void {
    if (this.#appends.at(-1) !== append) return
    this.#appends.pop()
    this.#size -= append.size
    this.#last = null
  }

  /** Whether an event behind what was looked at for the condition stands against it. */
  refutes(condition: ConditionTerms): boolean {
    const { checkedUpTo, after } = condition
    if (this.#last === null) {
      this.#last = new LastPositions()
      for (const append of this.#appends) this.#last.note(append)
    }
    const last = this.#last.of(condition)
    // What was looked at ends before `checkedUpTo`: the next event may begin there.
    return last >= checkedUpTo && last > after
  }

  #prune(): void {
    let oldest = Number.POSITIVE_INFINITY
    for (const { checkedUpTo } of this.#conditions) oldest = Math.min(oldest, checkedUpTo)
    this.#keep(this.#appends.filter(({ position }) => position >= oldest))
  }

  #keep(appends: AppendMessage[]): void {
    this.#appends = appends
    this.#last = null
    this.#size = 0
    for (const { size } of appends) this.#size += size
    this.#pruneSize = Math.max(PRUNE_SIZE, 2 * this.#size)
  }
}

/** Stands for every stream, and for every event type: neither has an empty name. */
const ANY = ''
/** Before every position that a condition may have been looked at up to. */
const NEVER = -1

/** Where the last event of each stream and type was written. */
class LastPositions {
  readonly #byStream = new Map<string, Map<string, LogPosition>>()

  note({ parts, head, position, eventType, rest }: AppendMessage): void {
    if (parts !== null) {
      for (const part of parts) for (const event of part.events) this.#note(part.head.name, event.eventType, position)
    } else {
      this.#note(head.name, eventType, position)
      for (const event of rest) this.#note(head.name, event.eventType, position)
    }
  }

  #note(stream: string, eventType: Uint8Array, position: LogPosition): void {
    const type = keyOf(eventType)
    this.#typesOf(ANY).set(ANY, position).set(type, position)
    this.#typesOf(stream).set(ANY, position).set(type, position)
  }

  #typesOf(stream: string): Map<string, LogPosition> {
    let types = this.#byStream.get(stream)
    if (types === undefined) {
      types = new Map()
      this.#byStream.set(stream, types)
    }
    return types
  }

  /** Of the last event that is of the condition's streams and types; NEVER if there is none. */
  of({ streams, types }: ConditionTerms): number {
    const keys = types?.map(keyOf) ?? [ANY]
    let last: number = NEVER
    for (const stream of streams ?? [ANY]) {
      const byType = this.#byStream.get(stream)
      if (byType === undefined) continue
      for (const key of keys) last = Math.max(last, byType.get(key) ?? NEVER)
    }
    return last
  }
}

/** One character a byte. */
function keyOf(eventType: Uint8Array): string {
  return Buffer.from(eventType.buffer, eventType.byteOffset, eventType.length).toString('latin1')
}
