import { expect } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import type { Transaction } from '../../src/store/transaction.ts'
import { applyCall, codeOf, expectAnswer, outcomeOf, placeOf, refusalOf } from './model-answers.ts'
import { type Call, eventsOf } from './model-calls.ts'
import { learnPositions, take } from './model-reads.ts'
import type { StoreModel } from './store-model.ts'

/** A transaction of a store, beside what the model says of it. */
export class ModelTransaction {
  readonly stream: string
  readonly position: number
  readonly #store: EventStore
  readonly #model: StoreModel
  readonly #transaction: Transaction<{ type: string; data: unknown }>

  constructor(store: EventStore, model: StoreModel, stream: string) {
    this.stream = stream
    this.position = model.lastPosition
    this.#store = store
    this.#model = model
    this.#transaction = store.transaction(stream, { idleTimeoutMs: Number.MAX_SAFE_INTEGER })
  }

  async expectSameRead(from: number, nowMs: number): Promise<void> {
    const transaction = this.#transaction
    const outcome = await outcomeOf(take(from === 0 ? transaction.events() : transaction.readFrom(from)))
    const visible = this.#model.visible(this.stream, nowMs, this.position)
    if (visible === 'STREAM_DELETED') {
      expect(codeOf(outcome)).toBe(visible)
      return
    }
    const expected = typeof visible === 'string' ? [] : visible.filter(({ revision }) => revision >= from)
    expect('value' in outcome ? (outcome.value as RecordedEvent[]).map(placeOf) : outcome).toEqual(expected.map(placeOf))
  }

  /** @returns whether it is over. */
  async commit(call: Call, nowMs: number): Promise<boolean> {
    const committed = await outcomeOf(this.#transaction.commit(eventsOf(call.parts[0]!, call.token)))
    const answer = applyCall(this.#model, call, nowMs)
    await learnPositions(this.#store, this.#model)
    if (answer.kind === 'refused' && answer.code !== 'CONDITION_FAILED') {
      expect('error' in committed && refusalOf(committed.error)).toEqual({ ...answer })
      return false
    }
    if ('error' in committed) throw committed.error
    const result = committed.value as { committed: boolean; conflicts: readonly RecordedEvent[]; ack: unknown }
    expect(result.committed).toBe(answer.kind !== 'refused')
    if (answer.kind === 'refused') expect(result.conflicts.map(placeOf)).toEqual(answer.conflicts)
    else expectAnswer(call, { value: result.ack }, answer, this.#model)
    return result.committed
  }
}
