import type { ConditionTerms } from '../writer/append-terms.ts'
import type { AppendMessage } from '../writer/messages.ts'

/** Beyond this many, what no condition asks for any more is dropped. */
const PRUNE_COUNT = 1024

/**
 * What was written since the oldest condition that is on its way was looked at: what the writer must know of it without
 * reading. Empty as long as nobody uses conditions.
 */
export class RecentEvents {
  readonly #conditions = new Set<ConditionTerms>()
  #appends: AppendMessage[] = []

  watch(condition: ConditionTerms): void {
    this.#conditions.add(condition)
  }

  unwatch(condition: ConditionTerms): void {
    this.#conditions.delete(condition)
    if (this.#conditions.size === 0) this.#appends = []
    else if (this.#appends.length > PRUNE_COUNT) this.#prune()
  }

  note(append: AppendMessage): void {
    if (this.#conditions.size > 0) this.#appends.push(append)
  }

  forget(append: AppendMessage): void {
    if (this.#appends.at(-1) === append) this.#appends.pop()
  }

  /** Whether an event behind what was looked at for the condition stands against it. */
  refutes(condition: ConditionTerms): boolean {
    const { checkedUpTo, after } = condition
    // What was looked at ends before `checkedUpTo`: the next event may begin there.
    return this.#appends.some(
      append => append.position >= checkedUpTo && append.position > after && standsAgainst(append, condition),
    )
  }

  #prune(): void {
    let oldest = Number.POSITIVE_INFINITY
    for (const { checkedUpTo } of this.#conditions) oldest = Math.min(oldest, checkedUpTo)
    this.#appends = this.#appends.filter(({ position }) => position >= oldest)
  }
}

function standsAgainst(append: AppendMessage, condition: ConditionTerms): boolean {
  const { terms, head, rest } = append
  if (terms !== null && terms.parts.length > 0) {
    return terms.parts.some(
      ({ head, events }) => isStream(head.name, condition) && events.some(({ eventType }) => isType(eventType, condition)),
    )
  }
  if (!isStream(head.name, condition)) return false
  return isType(append.eventType, condition) || rest.some(({ eventType }) => isType(eventType, condition))
}

function isStream(stream: string, { streams }: ConditionTerms): boolean {
  return streams === null || streams.includes(stream)
}

function isType(eventType: Uint8Array, { types }: ConditionTerms): boolean {
  return types?.some(type => isSame(type, eventType)) ?? true
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false
  return true
}
