import type { NewEvent } from '../../src/core/events.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import type { Random } from '../support/random.ts'
import { COLLIDING } from './index-model.ts'
import type { Condition, Expected, Part, PartEvent, Settings, StoreModel } from './store-model.ts'

const TYPES = ['Placed', 'Paid', 'Shipped', 'Returned', 'Plac']
const IDS = Array.from({ length: 24 }, (_, n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`)
export const NAMES = ['order-1', 'order-2', 'order', 'a', 'ü'.repeat(200), 'z'.repeat(200), ...COLLIDING[0]!, ...COLLIDING[1]!]

/** A call that writes, or checks, some streams at once. */
export interface Call {
  readonly kind: 'append' | 'commit' | 'setMetadata' | 'tombstone'
  readonly token: string
  readonly parts: readonly Part[]
  readonly condition: Condition | null
  readonly settings: Settings
}

/** Invents calls that meet what stands in the model, and what doesn't. */
export class CallBook {
  readonly #random: Random
  readonly #model: StoreModel
  readonly #streams: readonly string[]
  /** What may be made again. */
  readonly #history: Call[] = []
  #nextToken = 0

  constructor(random: Random, model: StoreModel, streams: readonly string[]) {
    this.#random = random
    this.#model = model
    this.#streams = streams
  }

  /** Any call. @param isAlone nothing else is on its way: then it may ask for anything. */
  any(isAlone: boolean): Call {
    const random = this.#random
    const chosen = random.int(100)
    const stream = random.pick(this.#streams)
    if (chosen < 20 && this.#history.length > 0) return this.#again(random.pick(this.#history))
    if (chosen < 30) return this.#settingsCall(stream)
    if (chosen < 31) return this.of('tombstone', partsOfChange(stream, this.expected(stream), '$tombstone', 'any'), null)
    const streams = chosen < 50 ? random.shuffle(this.#streams).slice(0, 1 + random.int(3)) : [stream]
    const parts = streams.map(name => ({
      stream: name,
      expected: this.expected(name),
      events: random.chance(0.1) ? [] : this.events(1 + random.int(random.chance(0.2) ? 6 : 2), 0.5),
    }))
    const condition = random.chance(0.3) ? this.#condition(isAlone, streams) : null
    return this.of(chosen < 50 ? 'commit' : 'append', parts, condition)
  }

  /** The commit of a transaction that was opened at a position. */
  inTransaction(stream: string, after: number): Call {
    const events = this.events(this.#random.int(4), 0.2)
    const types = [...new Set(events.map(({ type }) => type))]
    const condition = events.length === 0 ? null : { types, streams: [stream], after }
    return this.of('append', [{ stream, expected: 'any', events }], condition)
  }

  #settingsCall(stream: string): Call {
    const random = this.#random
    const head = this.#model.headOf(stream)
    const settings: Settings = {
      ...(random.chance(0.5) && { maxCount: 1 + random.int(6) }),
      ...(random.chance(0.3) && { maxAge: 1 + random.int(10) }),
      ...(random.chance(0.3) && { truncateBefore: random.int(head + 3) }),
      token: this.token(),
    }
    const expected = random.chance(0.3) ? this.expected(`$$${stream}`) : 'any'
    return this.of('setMetadata', partsOfChange(stream, 'any', '$metadata', expected), null, settings)
  }

  /** The same ids again: as they were, fewer, more, or with something else expected. */
  #again({ kind, parts }: Call): Call {
    const random = this.#random
    const change = random.int(10)
    const changed = parts.map(part => {
      if (change === 0) return { ...part, events: part.events.slice(0, -1) }
      if (change === 1) return { ...part, events: [...part.events, ...this.events(1, 0.5)] }
      if (change === 2) return { ...part, expected: this.expected(part.stream) }
      return part
    })
    return this.of(kind, changed, null)
  }

  of(kind: Call['kind'], parts: readonly Part[], condition: Condition | null, settings: Settings = {}): Call {
    const call = { kind, token: this.token(), parts, condition, settings }
    if ((kind === 'append' || kind === 'commit') && condition === null) this.#history.push(call)
    return call
  }

  events(count: number, idChance: number): PartEvent[] {
    const random = this.#random
    return Array.from({ length: count }, () => ({
      type: random.pick(TYPES),
      id: random.chance(idChance) ? random.pick(IDS) : null,
    }))
  }

  expected(stream: string): Expected {
    const random = this.#random
    const head = this.#model.headOf(stream)
    const chosen = random.int(10)
    if (chosen < 4) return 'any'
    if (chosen < 6) return head < 0 ? 'no_stream' : head
    return random.pick(['no_stream', 'stream_exists', Math.max(0, head), Math.max(0, head - 1 - random.int(3)), head + 1])
  }

  /** Where others write at the same time, what a condition on them meets is anybody's guess. */
  #condition(isAlone: boolean, own: readonly string[]): Condition {
    const random = this.#random
    const { lastPosition, events } = this.#model
    const types = random.chance(0.6) ? random.shuffle(TYPES).slice(0, 1 + random.int(2)) : null
    if (!isAlone) return { types, streams: own, after: lastPosition }
    const names = random.shuffle(this.#streams).slice(0, 1 + random.int(3))
    const streams = types === null || random.chance(0.5) ? names : null
    const after = random.chance(0.3) || events.length === 0 ? lastPosition : random.pick(events).position - random.int(2)
    return { types, streams, after: Math.max(0, after) }
  }

  token(): string {
    return `t${this.#nextToken++}`
  }
}

/** @returns what the store answers. */
export function makeCall(store: EventStore, { kind, parts, condition, token, settings }: Call): Promise<unknown> {
  const options = condition === null ? {} : { condition: conditionOf(condition) }
  const [first, second] = parts
  switch (kind) {
    case 'append':
      return store.append(first!.stream, eventsOf(first!, token), { expectedRevision: first!.expected, ...options })
    case 'commit':
      return store.commit(
        parts.map(part => ({ stream: part.stream, events: eventsOf(part, token), expectedRevision: part.expected })),
        options,
      )
    case 'setMetadata':
      return store.setMetadata(first!.stream, settings, { expectedRevision: second!.expected })
    case 'tombstone':
      return store.tombstone(first!.stream, { expectedRevision: first!.expected })
  }
}

/** The data of the events that a call writes. */
export function callDataOf({ kind, settings, token }: Call, stream: string, index: number): unknown {
  return kind === 'setMetadata' ? settings : kind === 'tombstone' ? {} : dataOf(token, stream, index)
}

/** What is said of a stream stands in another, in one commit with a check of the stream. */
export function partsOfChange(stream: string, expected: Expected, type: string, expectedOfOther: Expected): Part[] {
  return [
    { stream, expected, events: [] },
    { stream: `$$${stream}`, expected: expectedOfOther, events: [{ type, id: null }] },
  ]
}

export function describeCall({ token, parts, condition, settings }: Call): string {
  const told = parts.map(({ stream, expected, events }) => {
    const list = events.map(({ type, id }) => (id === null ? type : `${type}#${id.slice(-2)}`))
    return `${stream.slice(0, 20)} ${expected} [${list.join(' ')}]`
  })
  const others = [condition, settings].filter(other => other !== null && Object.keys(other).length > 0)
  return [token, told.join(', '), ...others.map(other => JSON.stringify(other))].join(' ')
}

export function eventsOf({ stream, events }: Part, token: string): NewEvent[] {
  return events.map(({ type, id }, i) => ({ type, data: dataOf(token, stream, i), ...(id !== null && { id }) }))
}

function dataOf(token: string, stream: string, index: number) {
  return { token, index, pad: 'x'.repeat((token.length * 37 + stream.length + index * 101) % 300) }
}

function conditionOf({ types, streams, after }: Condition) {
  return { failIf: { ...(types !== null && { types }), ...(streams !== null && { streams }) }, after }
}
