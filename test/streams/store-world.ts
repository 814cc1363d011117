import { expect } from 'vitest'
import type { DiskContent } from '../../src/disk/memory-disk.ts'
import { EventStore } from '../../src/store/event-store.ts'
import type { StoreOptions } from '../../src/store/options.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MortalDisk } from '../support/mortal-disk.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { applyCall, codeOf, expectAnswer, type Outcome, outcomeOf, refusalOf } from './model-answers.ts'
import { type Call, CallBook, describeCall, makeCall, NAMES, partsOfChange } from './model-calls.ts'
import { expectSameReads, learnPositions } from './model-reads.ts'
import { contentAfterCrash, rotOnePage, withIndexFiles } from './model-remains.ts'
import { ModelTransaction } from './model-transaction.ts'
import { type Part, StoreModel } from './store-model.ts'

const DIRECTORY = '/data'
/** What has nothing to do with what stands in the log. */
const NEVER_WRITTEN: ReadonlySet<string> = new Set(['DISK_FULL', 'RECORD_TOO_LARGE'])

/** A call that was made, and what it answered so far. */
interface Made {
  readonly call: Call
  outcome: Outcome | null
}

/**
 * A store and its model side by side, through all that can happen to a store. Everything is drawn from the seed.
 */
export class StoreWorld {
  readonly #random: Random
  readonly #model = new StoreModel()
  readonly #streams: readonly string[]
  readonly #options: StoreOptions
  readonly #isShuffled: boolean
  readonly trace: string[] = []
  /** How often each thing was done, over all worlds of a run. */
  readonly #counts: Map<string, number>
  readonly #calls: CallBook
  #content: DiskContent = new Map()
  #clock = new ManualClock()
  #disk!: SimulatedDisk
  #process!: MortalDisk
  #store!: EventStore
  #transactions: ModelTransaction[] = []
  #compareCount = 0

  constructor(seed: string, counts: Map<string, number>) {
    this.#random = new Random(seed)
    this.#counts = counts
    this.#streams = this.#random.shuffle(NAMES).slice(0, 2 + this.#random.int(8))
    this.#calls = new CallBook(this.#random, this.#model, this.#streams)
    this.#isShuffled = this.#random.chance(0.25)
    this.#options = {
      chunkSizeBytes: this.#random.pick([4096, 4096, 8192, 16_384]),
      cacheBytes: this.#random.pick([0, 20_000, 1 << 20]),
    }
  }

  async live(): Promise<void> {
    const epochs = 3 + this.#random.int(5)
    for (let epoch = 0; epoch < epochs; epoch++) {
      await this.#open()
      await this.#compare()
      const steps = 4 + this.#random.int(16)
      for (let step = 0; step < steps; step++) {
        await this.#step()
        if (this.#random.chance(0.3) || process.env['OFTEN'] !== undefined) await this.#compare()
      }
      await this.#end()
      this.#treatIndexFiles()
    }
    await this.#open()
    await this.#compare()
    await this.#store.close()
  }

  #say(what: string): void {
    this.trace.push(what)
    const name = what.split(' ')[0]!
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  async #open(): Promise<void> {
    const random = this.#random
    for (; random.chance(0.15); ) await this.#crashWhileOpening()
    this.#begin()
    this.#say('open')
    this.#store = await EventStore.openOn(this.#process, DIRECTORY, { ...this.#options, clock: this.#clock })
  }

  #begin(): void {
    this.#disk = new SimulatedDisk({ seed: this.#random.next(), shuffle: this.#isShuffled, content: this.#content })
    this.#process = new MortalDisk(this.#disk)
    // Timers of a store that is gone must not fire.
    const elapsedMs = this.#clock.monotonic()
    this.#clock = new ManualClock()
    this.#clock.advance(elapsedMs)
    this.#transactions = []
  }

  async #crashWhileOpening(): Promise<void> {
    this.#begin()
    const opening = EventStore.openOn(this.#process, DIRECTORY, { ...this.#options, clock: this.#clock })
    opening.catch(() => {})
    await this.#someTurns(40)
    this.#say('crash-while-opening')
    await this.#crash()
  }

  async #step(): Promise<void> {
    const random = this.#random
    const chosen = random.int(100)
    if (chosen < 52) await this.#batch(random.chance(0.5) ? 1 : 1 + random.int(7))
    else if (chosen < 64) await this.#fill()
    else if (chosen < 70) await this.#delete()
    else if (chosen < 75) await this.#erase()
    else if (chosen < 84) await this.#transact()
    else if (chosen < 88) this.#passTime(random.int(4000))
    else if (chosen < 91) await this.#damageWhileOpen()
    else if (chosen < 94) await this.#batch(1 + random.int(4), 'full disk')
    else await this.#scavenge()
  }

  #passTime(ms: number): void {
    this.#say(`time ${ms}`)
    this.#clock.advance(ms)
  }

  async #batch(count: number, mode: 'normal' | 'full disk' = 'normal'): Promise<void> {
    const isAlone = count === 1 && mode === 'normal'
    const calls = Array.from({ length: count }, () => this.#calls.any(isAlone))
    if (mode === 'normal') {
      await this.#settle(calls.map(call => this.#make(call)))
      return
    }
    const fault = this.#disk.failNext({ op: 'writeDurably', error: 'ENOSPC', partialBytes: this.#random.int(300) })
    this.#say('full-disk')
    await this.#settle(calls.map(call => this.#make(call)))
    fault.clear()
  }

  /** Chunks fill up. */
  async #fill(): Promise<void> {
    const random = this.#random
    this.#say('fill')
    const calls = Array.from({ length: 5 + random.int(25) }, () => {
      const stream = random.pick(this.#streams)
      return this.#calls.of('append', [{ stream, expected: 'any', events: this.#calls.events(1 + random.int(3), 0.2) }], null)
    })
    await this.#settle(calls.map(call => this.#make(call)))
  }

  #make(call: Call): Made {
    const made: Made = { call, outcome: null }
    this.#say(`${call.kind} ${describeCall(call)}`)
    void outcomeOf(makeCall(this.#store, call)).then(outcome => {
      made.outcome = outcome
    })
    return made
  }

  /** Waits for all answers, and compares them with the model's, in the order of the calls. */
  async #settle(made: readonly Made[]): Promise<void> {
    while (made.some(({ outcome }) => outcome === null)) await new Promise(setImmediate)
    const mine = made.map(({ call, outcome }) => {
      if (NEVER_WRITTEN.has(codeOf(outcome!)!)) return null
      return applyCall(this.#model, call, this.#clock.now())
    })
    await learnPositions(this.#store, this.#model)
    for (const [i, { call, outcome }] of made.entries()) {
      if (mine[i] !== null) expectAnswer(call, outcome!, mine[i]!, this.#model)
    }
  }

  async #delete(): Promise<void> {
    const model = this.#model
    const stream = this.#random.pick(this.#streams)
    const expected = this.#random.chance(0.6) ? 'any' : this.#calls.expected(stream)
    this.#say(`delete ${stream.slice(0, 20)} ${expected}`)
    const outcome = await outcomeOf(this.#store.delete(stream, { expectedRevision: expected }))
    const check: Part = { stream, expected, events: [] }
    const verdict = model.decide([check], null)!
    if (verdict.kind === 'refused') {
      expect('error' in outcome && refusalOf(outcome.error)).toEqual({ ...verdict })
      return
    }
    if ('error' in outcome) throw outcome.error
    if (!model.isEmpty(stream)) {
      const settings = { ...model.settingsOf(stream), truncateBefore: model.headOf(stream) + 1 }
      const parts = partsOfChange(stream, 'any', '$metadata', 'any')
      model.write(parts, this.#calls.token(), this.#clock.now(), () => settings)
    }
    await learnPositions(this.#store, this.#model)
  }

  async #erase(): Promise<void> {
    const model = this.#model
    const stream = this.#random.pick(this.#streams)
    const revision = this.#random.int(model.headOf(stream) + 3)
    this.#say(`erase ${revision}@${stream.slice(0, 20)}`)
    const outcome = await outcomeOf(this.#store.erase(stream, revision))
    const isThere = model.of(stream).some(event => event.revision === revision && !event.isStub)
    const code = model.isTombstoned(stream) ? 'STREAM_DELETED' : isThere ? undefined : 'STREAM_NOT_FOUND'
    expect(codeOf(outcome)).toBe(code)
    if (code !== undefined) return
    const part = { stream: '$erased', expected: 'any', events: [{ type: '$erase', id: null }] } as const
    model.write([part], this.#calls.token(), this.#clock.now(), () => ({ stream, revision }))
    await learnPositions(this.#store, this.#model)
  }

  async #transact(): Promise<void> {
    const transactions = this.#transactions
    if (transactions.length === 0 || this.#random.chance(0.4)) {
      const stream = this.#random.pick(this.#streams)
      this.#say(`transaction ${stream.slice(0, 20)}`)
      transactions.push(new ModelTransaction(this.#store, this.#model, stream))
      return
    }
    const index = this.#random.int(transactions.length)
    const transaction = transactions[index]!
    await transaction.expectSameRead(this.#random.int(3), this.#clock.now())
    const call = this.#calls.inTransaction(transaction.stream, transaction.position)
    this.#say(`transaction-commit ${describeCall(call)}`)
    if (await transaction.commit(call, this.#clock.now())) transactions.splice(index, 1)
  }

  async #scavenge(): Promise<void> {
    const random = this.#random
    const aborting = new AbortController()
    const isAborted = random.chance(0.2)
    this.#say(`scavenge ${isAborted ? 'aborted' : ''}`)
    const steps = random.int(4)
    const options = {
      signal: aborting.signal,
      onProgress: ({ chunk }: { chunk: number }) => {
        if (isAborted && chunk > steps) aborting.abort(new Error('that is enough'))
      },
    }
    await this.#store.scavenge(options).catch((error: Error) => {
      if (!aborting.signal.aborted) throw error
    })
    // What an interrupted one has done, a whole one does again.
    if (aborting.signal.aborted) await this.#store.scavenge()
    this.#model.scavenge(this.#clock.now())
  }

  async #end(): Promise<void> {
    const random = this.#random
    const chosen = random.int(10)
    if (chosen < 4) {
      this.#say('close')
      await this.#store.close()
      expect(this.#disk.openPaths).toEqual([])
      this.#content = this.#disk.snapshot()
    } else if (chosen < 6) {
      this.#say('crash')
      await this.#crash()
    } else if (chosen < 7) await this.#crashInScavenge()
    else await this.#crashInFlight()
  }

  async #crashInFlight(): Promise<void> {
    const calls = Array.from({ length: 1 + this.#random.int(8) }, () => this.#calls.any(false))
    const made = calls.map(call => this.#make(call))
    await this.#someTurns(12)
    this.#say(`crash-in-flight behind ${made.filter(({ outcome }) => outcome !== null).length} of ${made.length}`)
    const told = made.map(({ outcome }) => outcome)
    await this.#crash()
    await this.#open()
    await this.#recover(calls, told)
    await this.#store.close()
    this.#content = this.#disk.snapshot()
  }

  /** Of what nobody was told, each call is there as a whole or not at all. */
  async #recover(calls: readonly Call[], told: readonly (Outcome | null)[]): Promise<void> {
    const model = this.#model
    const found = new Set<string>()
    for await (const { stream, data, type } of this.#store.readAll({ from: model.lastPosition + 1, includeSystem: true })) {
      const own = data as { token?: string }
      const tombstone = calls.find(({ kind, parts }) => kind === 'tombstone' && parts[1]!.stream === stream)
      found.add(type === '$tombstone' ? tombstone!.token : own.token!)
    }
    for (const [i, call] of calls.entries()) {
      const isThere = found.has(call.token) || found.has(call.settings['token'] as string)
      const outcome = told[i]!
      const duplicate = outcome !== null && 'value' in outcome && (outcome.value as { duplicate?: boolean }).duplicate === true
      const isCheck = call.parts.every(({ events }) => events.length === 0)
      if (outcome !== null && !isCheck)
        expect(isThere, `${describeCall(call)} ${JSON.stringify(outcome)}`).toBe('value' in outcome && !duplicate)
      if (!isThere) continue
      const answer = applyCall(this.#model, call, this.#clock.now())
      expect(answer.kind, describeCall(call)).toBe('written')
    }
    await learnPositions(this.#store, this.#model)
    await this.#compare()
  }

  /** Some chunks are rewritten then, and others not: a whole scavenge leaves what an uninterrupted one would have. */
  async #crashInScavenge(): Promise<void> {
    this.#say('crash-in-scavenge')
    this.#store.scavenge().catch(() => {})
    await this.#someTurns(60)
    await this.#crash()
    await this.#open()
    await this.#store.scavenge()
    this.#model.scavenge(this.#clock.now())
    await this.#compare()
    await this.#store.close()
    this.#content = this.#disk.snapshot()
  }

  async #crash(): Promise<void> {
    this.#content = contentAfterCrash(this.#disk, this.#random)
    await this.#process.kill()
  }

  async #someTurns(most: number): Promise<void> {
    const turns = this.#random.int(most)
    for (let turn = 0; turn < turns; turn++) {
      if (this.#random.chance(0.7)) await null
      else await new Promise(setImmediate)
    }
  }

  /** While nobody has the store: kept, deleted, damaged. */
  #treatIndexFiles(): void {
    const treatment = this.#random.pick(['kept', 'kept', 'kept', 'deleted', 'half-deleted', 'damaged'] as const)
    if (treatment === 'kept') return
    this.#say(`index-files-${treatment}`)
    this.#content = withIndexFiles(this.#content, treatment, this.#random)
  }

  async #damageWhileOpen(): Promise<void> {
    this.#say('rot')
    await rotOnePage(this.#disk, this.#random)
  }

  #compare(): Promise<void> {
    // What is read must not decide what happens next.
    const random = this.#random.fork(`reads-${this.#compareCount++}`)
    return expectSameReads(this.#store, this.#model, this.#streams, random, this.#clock.now())
  }
}
