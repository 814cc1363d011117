import { describe, expect, test } from 'vitest'
import { ConditionFailedError, DiskFullError } from '../../src/core/errors.ts'
import type { AppendAck, NewEvent, RecordedEvent } from '../../src/core/events.ts'
import type { LogPosition } from '../../src/core/positions.ts'
import type { AppendOptions } from '../../src/store/admission.ts'
import { OpenTransaction, type TransactionDesk, type TransactionOptions } from '../../src/store/transaction.ts'
import type { ReadStreamOptions } from '../../src/streams/read-options.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { all, rejectionOf, withStore } from './words.ts'

const ID = '00000000-0000-4000-8000-000000000001'
const CONFLICT = { type: 'A' } as RecordedEvent

interface Asked {
  readonly stream: string
  readonly events: readonly NewEvent[]
  readonly options: AppendOptions
}

/** A store of which a transaction sees only what it asks for: `answers` are given one after the other, acks when there are none. */
class Desk implements TransactionDesk {
  readonly clock = new ManualClock()
  readonly asked: Asked[] = []
  readonly reads: { readonly options: ReadStreamOptions; readonly upTo: number }[] = []
  readonly answers: (Error | Promise<AppendAck>)[] = []
  position = 100

  lastPosition(): LogPosition {
    return this.position as LogPosition
  }

  read(_: string, options: ReadStreamOptions, upTo: LogPosition): () => Promise<null> {
    this.reads.push({ options, upTo })
    return async () => null
  }

  async append(stream: string, events: readonly NewEvent[], options: AppendOptions): Promise<AppendAck> {
    this.asked.push({ stream, events, options })
    const answer = this.answers.shift()
    if (answer instanceof Error) throw answer
    return answer ?? ({ stream, duplicate: false } as AppendAck)
  }

  begin(options: TransactionOptions = {}): OpenTransaction<{ type: string; data: unknown }> {
    return new OpenTransaction(this, 's', options)
  }

  conflictNext(count = 1): void {
    for (let i = 0; i < count; i++) this.answers.push(new ConditionFailedError([CONFLICT], false))
  }

  idsAsked(): unknown[][] {
    return this.asked.map(({ events }) => events.map(({ id }) => id))
  }
}

function a(type: string, id?: string): NewEvent {
  return { type, data: null, ...(id !== undefined && { id }) }
}

describe('a transaction', () => {
  test('reads up to where the log ended when it was opened', async () => {
    const desk = new Desk()
    const transaction = desk.begin()
    desk.position = 200
    await all(transaction.events())
    await all(transaction.readFrom(7))
    expect(desk.reads).toEqual([
      { options: { from: 'start' }, upTo: 100 },
      { options: { from: 7 }, upTo: 100 },
    ])
    expect(transaction.position).toBe(100)
  })

  test('commits on the condition that none of its types was committed since, each named once', async () => {
    const desk = new Desk()
    const transaction = desk.begin()
    desk.position = 200
    await transaction.commit([a('A'), a('B'), a('A')])
    expect(desk.asked[0]!.options).toEqual({ condition: { failIf: { types: ['A', 'B'], streams: ['s'] }, after: 100 } })
  })

  test('commits no events without a condition', async () => {
    const desk = new Desk()
    expect(await desk.begin().commit([])).toMatchObject({ committed: true })
    expect(desk.asked[0]).toEqual({ stream: 's', events: [], options: {} })
  })

  test('answers a conflict with a value, also that there is more, and stays open', async () => {
    const desk = new Desk()
    const transaction = desk.begin()
    desk.answers.push(new ConditionFailedError([CONFLICT], true))
    expect(await transaction.commit(a('A'))).toEqual({ committed: false, conflicts: [CONFLICT], more: true })
    expect(await transaction.commit(a('A'))).toMatchObject({ committed: true })
  })

  test('rejects with any other error, and stays open', async () => {
    const desk = new Desk()
    const transaction = desk.begin()
    desk.answers.push(new DiskFullError('full', null))
    expect(await rejectionOf(transaction.commit(a('A')))).toMatchObject({ code: 'DISK_FULL', retryable: true })
    expect(await transaction.commit(a('A'))).toMatchObject({ committed: true })
  })

  test('takes one commit at a time', async () => {
    const desk = new Desk()
    const transaction = desk.begin()
    desk.answers.push(new Promise(() => {}))
    void transaction.commit(a('A'))
    expect(await rejectionOf(transaction.commit(a('A')))).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(desk.asked).toHaveLength(1)
  })

  test('is over when it has committed; a rollback behind that changes nothing', async () => {
    const desk = new Desk()
    const transaction = desk.begin()
    await transaction.commit(a('A'))
    await transaction.rollback()
    expect(await rejectionOf(transaction.commit(a('A')))).toMatchObject({ code: 'TRANSACTION_CLOSED', reason: 'committed' })
    expect(await rejectionOf(all(transaction.events()))).toMatchObject({ reason: 'committed' })
  })

  test.each([-1, Number.NaN, '5'])('does not begin with an idle timeout of %s', idleTimeoutMs => {
    expect(() => new Desk().begin({ idleTimeoutMs: idleTimeoutMs as number })).toThrow('idleTimeoutMs')
  })

  test.each([-1, 1.5, 'start'])('does not read from %s', from => {
    expect(() => new Desk().begin().readFrom(from as number)).toThrow('revision')
  })

  test('does not take a retry that is no function', async () => {
    const error = await rejectionOf(new Desk().begin().commit(a('A'), { retry: true as unknown as () => null }))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

describe('a transaction that is left alone', () => {
  test('expires when it was idle for longer than it may be, to the millisecond', async () => {
    const desk = new Desk()
    const [kept, lost] = [desk.begin({ idleTimeoutMs: 1000 }), desk.begin({ idleTimeoutMs: 999 })]
    desk.clock.advance(1000)
    expect(await kept.commit(a('A'))).toMatchObject({ committed: true })
    expect(await rejectionOf(lost.commit(a('A')))).toMatchObject({ reason: 'expired' })
    await lost.rollback()
    expect(await rejectionOf(lost.commit(a('A')))).toMatchObject({ reason: 'expired' })
  })

  test('lives on with every read, each of its batches, and every commit', async () => {
    const desk = new Desk()
    const transaction = desk.begin({ idleTimeoutMs: 1000 })
    const reading = transaction.events()[Symbol.asyncIterator]()
    desk.clock.advance(900)
    await reading.next()
    desk.clock.advance(900)
    desk.conflictNext()
    await transaction.commit(a('A'))
    desk.clock.advance(900)
    expect(await transaction.commit(a('A'))).toMatchObject({ committed: true })
  })

  test('has 60 seconds, and needs no timer', async () => {
    const desk = new Desk()
    const transaction = desk.begin()
    expect(desk.clock.timerCount).toBe(0)
    desk.clock.advance(60_001)
    expect(await rejectionOf(transaction.commit(a('A')))).toMatchObject({ reason: 'expired' })
  })
})

describe('a commit that decides again', () => {
  test('moves to the end of the log, shows the conflicts, and commits what is decided then', async () => {
    const desk = new Desk()
    const transaction = desk.begin()
    desk.conflictNext()
    desk.position = 250
    const result = await transaction.commit(a('A'), {
      retry: conflicts => {
        expect([conflicts, transaction.position]).toEqual([[CONFLICT], 250])
        return a('B')
      },
    })
    expect(result).toMatchObject({ committed: true })
    expect(desk.asked.map(({ options }) => options.condition)).toEqual([
      { failIf: { types: ['A'], streams: ['s'] }, after: 100 },
      { failIf: { types: ['B'], streams: ['s'] }, after: 250 },
    ])
  })

  test('gives each place of the list an id once, and keeps it; an id of the caller stands', async () => {
    const desk = new Desk()
    desk.conflictNext(2)
    let attempt = 0
    await desk.begin().commit([a('A'), a('B', ID)], {
      retry: async () => (++attempt === 1 ? [a('A'), a('B'), a('C')] : [a('A')]),
    })
    const [first, second, third] = desk.idsAsked()
    expect(first).toEqual([expect.any(String), ID])
    expect(second).toEqual([first![0], ID, expect.any(String)])
    expect(third).toEqual([first![0]])
    expect(new Set(second).size).toBe(3)
  })

  test('gives no event an id of the caller that another one has: it goes with its event to another place', async () => {
    const desk = new Desk()
    desk.conflictNext(2)
    let attempt = 0
    await desk.begin().commit([a('A', ID), a('B')], {
      retry: () => (++attempt === 1 ? [a('C'), a('A', ID)] : [a('C'), a('B')]),
    })
    const [first, second, third] = desk.idsAsked()
    expect(second).toEqual([expect.any(String), ID])
    expect(second![0]).not.toBe(ID)
    expect(third).toEqual([second![0], first![1]])
  })

  test('takes events whose type is a field of their class, as a commit that does not decide again', async () => {
    class Placed {
      readonly data: { readonly total: number }
      constructor(total: number) {
        this.data = { total }
      }
      get type(): string {
        return 'Placed'
      }
    }
    await withStore({}, async store => {
      const transaction = store.transaction('s')
      await store.append('s', new Placed(1))
      const retry = () => [new Placed(3), new Placed(4)]
      expect(await transaction.commit(new Placed(2), { retry })).toMatchObject({ committed: true, ack: { lastRevision: 2 } })
      const stored = await all(store.readStream('s'))
      expect(stored.map(({ type, data }) => [type, data])).toEqual([1, 3, 4].map(total => ['Placed', { total }]))
    })
  })

  test('can be left at that: the last conflict is the answer', async () => {
    const desk = new Desk()
    desk.conflictNext()
    const transaction = desk.begin()
    expect(await transaction.commit(a('A'), { retry: () => null })).toMatchObject({ committed: false, conflicts: [CONFLICT] })
    expect(await transaction.commit(a('A'))).toMatchObject({ committed: true })
  })

  test('fails with what the decision throws, and the transaction stays open', async () => {
    const desk = new Desk()
    desk.conflictNext()
    const transaction = desk.begin()
    const retry = () => {
      throw new Error('no idea')
    }
    expect(await rejectionOf(transaction.commit(a('A'), { retry }))).toMatchObject({ message: 'no idea' })
    expect(await transaction.commit(a('A'))).toMatchObject({ committed: true })
  })

  test('writes nothing when the decision took longer than the transaction may be idle, or it was rolled back meanwhile', async () => {
    const desk = new Desk()
    desk.conflictNext(2)
    const slow = desk.begin({ idleTimeoutMs: 1000 })
    const late = slow.commit(a('A'), {
      retry: () => {
        desk.clock.advance(1001)
        return a('A')
      },
    })
    expect(await rejectionOf(late)).toMatchObject({ reason: 'expired' })
    const left = desk.begin()
    const gone = left.commit(a('A'), {
      retry: async () => {
        await left.rollback()
        return a('A')
      },
    })
    expect(await rejectionOf(gone)).toMatchObject({ reason: 'rolled_back' })
    expect(desk.asked).toHaveLength(2)
  })
})
