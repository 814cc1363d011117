import { expect } from 'vitest'
import type { ExpectedRevision, NewEvent, RecordedEvent } from '../../src/core/events.ts'
import type { DiskContent } from '../../src/disk/memory-disk.ts'
import { EventStore } from '../../src/store/event-store.ts'
import type { StoreOptions } from '../../src/store/options.ts'
import type { Transaction } from '../../src/store/transaction.ts'
import { CrashingDisk } from '../support/crashing-disk.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MortalDisk } from '../support/mortal-disk.ts'
import { fatesOf } from '../support/pending-changes.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { COLLIDING } from './index-model.ts'
import { expectSameReads, take } from './model-reads.ts'
import { type Answer, type Condition, type Expected, type Part, type Refusal, type Settings, StoreModel } from './store-model.ts'

const DIRECTORY = '/data'
const TYPES = ['Placed', 'Paid', 'Shipped', 'Returned', 'Plac']
const IDS = Array.from({ length: 24 }, (_, n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`)
const NAMES = ['order-1', 'order-2', 'order', 'a', 'ü'.repeat(200), 'z'.repeat(200), ...COLLIDING[0]!, ...COLLIDING[1]!]

/** What has nothing to do with what stands in the log. */
const NEVER_WRITTEN: ReadonlySet<string> = new Set(['DISK_FULL', 'RECORD_TOO_LARGE'])

/** A call that writes, or checks, some streams at once. */
interface Call {
  readonly kind: 'append' | 'commit' | 'setMetadata' | 'tombstone'
  readonly token: string
  readonly parts: readonly Part[]
  readonly condition: Condition | null
  readonly settings: Settings
}

type Outcome = { readonly value: unknown } | { readonly error: unknown }

/** A call that was made, and what it answered so far. */
interface Made {
  readonly call: Call
  outcome: Outcome | null
}

interface OpenedTransaction {
  readonly transaction: Transaction<{ type: string; data: unknown }>
  readonly stream: string
  readonly position: number
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
  readonly #history: Call[] = []
  #content: DiskContent = new Map()
  #clock = new ManualClock()
  #disk!: SimulatedDisk
  #process!: MortalDisk
  #store!: EventStore
  #transactions: OpenedTransaction[] = []
  #nextToken = 0
  #compareCount = 0

  constructor(seed: string, counts: Map<string, number>) {
    this.#random = new Random(seed)
    this.#counts = counts
    this.#streams = this.#random.shuffle(NAMES).slice(0, 2 + this.#random.int(8))
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
    else if (chosen < 83) await this.#transact()
    else if (chosen < 88) this.#passTime(random.int(4000))
    else if (chosen < 91) await this.#damageWhileOpen()
    else if (chosen < 94) await this.#batch(1 + random.int(4), 'full disk')
    else await this.#scavenge()
  }

  #passTime(ms: number): void {
    this.#say(`time ${ms}`)
    this.#clock.advance(ms)
  }

  // --- calls

  async #batch(count: number, mode: 'normal' | 'full disk' = 'normal'): Promise<void> {
    const isAlone = count === 1 && mode === 'normal'
    const calls = Array.from({ length: count }, () => this.#call(isAlone))
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
      return this.#callOf('append', [{ stream, expected: 'any', events: this.#events(1 + random.int(3), 0.2) }], null)
    })
    await this.#settle(calls.map(call => this.#make(call)))
  }

  #call(isAlone: boolean): Call {
    const random = this.#random
    const chosen = random.int(100)
    const stream = random.pick(this.#streams)
    if (chosen < 20 && this.#history.length > 0) return this.#again(random.pick(this.#history))
    if (chosen < 30) return this.#settingsCall(stream)
    if (chosen < 31) return this.#callOf('tombstone', partsOfChange(stream, this.#expected(stream), '$tombstone', 'any'), null)
    const streams = chosen < 50 ? random.shuffle(this.#streams).slice(0, 1 + random.int(3)) : [stream]
    const parts = streams.map(name => ({
      stream: name,
      expected: this.#expected(name),
      events: random.chance(0.1) ? [] : this.#events(1 + random.int(random.chance(0.2) ? 6 : 2), 0.5),
    }))
    const condition = random.chance(0.3) ? this.#condition(isAlone, streams) : null
    return this.#callOf(chosen < 50 ? 'commit' : 'append', parts, condition)
  }

  #settingsCall(stream: string): Call {
    const random = this.#random
    const head = this.#model.headOf(stream)
    const settings: Settings = {
      ...(random.chance(0.5) && { maxCount: 1 + random.int(6) }),
      ...(random.chance(0.3) && { maxAge: 1 + random.int(10) }),
      ...(random.chance(0.3) && { truncateBefore: random.int(head + 3) }),
      token: this.#token(),
    }
    const expected = random.chance(0.3) ? this.#expected(`$$${stream}`) : 'any'
    return this.#callOf('setMetadata', partsOfChange(stream, 'any', '$metadata', expected), null, settings)
  }

  /** The same ids again: as they were, fewer, more, or with something else expected. */
  #again({ kind, parts }: Call): Call {
    const random = this.#random
    const change = random.int(10)
    const changed = parts.map(part => {
      if (change === 0) return { ...part, events: part.events.slice(0, -1) }
      if (change === 1) return { ...part, events: [...part.events, ...this.#events(1, 0.5)] }
      if (change === 2) return { ...part, expected: this.#expected(part.stream) }
      return part
    })
    return this.#callOf(kind, changed, null)
  }

  #callOf(kind: Call['kind'], parts: readonly Part[], condition: Condition | null, settings: Settings = {}): Call {
    const call = { kind, token: this.#token(), parts, condition, settings }
    if ((kind === 'append' || kind === 'commit') && condition === null) this.#history.push(call)
    return call
  }

  #events(count: number, idChance: number) {
    const random = this.#random
    return Array.from({ length: count }, () => ({
      type: random.pick(TYPES),
      id: random.chance(idChance) ? random.pick(IDS) : null,
    }))
  }

  #expected(stream: string): Expected {
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

  #token(): string {
    return `t${this.#nextToken++}`
  }

  #make(call: Call): Made {
    const made: Made = { call, outcome: null }
    const { kind, parts, condition, token } = call
    const options = condition === null ? {} : { condition: conditionOf(condition) }
    const [first, second] = parts
    this.#say(`${kind} ${describeCall(call)}`)
    const promise: Promise<unknown> =
      kind === 'setMetadata'
        ? this.#store.setMetadata(first!.stream, call.settings, { expectedRevision: second!.expected })
        : kind === 'tombstone'
          ? this.#store.tombstone(first!.stream, { expectedRevision: first!.expected })
          : kind === 'commit'
            ? this.#store.commit(
                parts.map(part => ({ stream: part.stream, events: eventsOf(part, token), expectedRevision: part.expected })),
                options,
              )
            : this.#store.append(first!.stream, eventsOf(first!, token), {
                expectedRevision: first!.expected as ExpectedRevision,
                ...options,
              })
    promise.then(
      value => {
        made.outcome = { value }
      },
      (error: unknown) => {
        made.outcome = { error }
      },
    )
    return made
  }

  /** Waits for all answers, and compares them with the model's, in the order of the calls. */
  async #settle(made: readonly Made[]): Promise<void> {
    while (made.some(({ outcome }) => outcome === null)) await new Promise(setImmediate)
    const mine = made.map(({ call, outcome }) => {
      if (NEVER_WRITTEN.has(codeOf(outcome!)!)) return null
      return this.#apply(call)
    })
    await this.#learnPositions()
    for (const [i, { call, outcome }] of made.entries()) {
      if (mine[i] !== null) this.#expectAnswer(call, outcome!, mine[i]!)
    }
  }

  #apply({ kind, parts, condition, token, settings }: Call): Answer {
    return this.#model.apply(parts, condition, token, this.#clock.now(), (stream, index) =>
      kind === 'setMetadata' ? settings : kind === 'tombstone' ? {} : dataOf(token, stream, index),
    )
  }

  /** Reads what is new: each call's events stand one behind the other. */
  async #learnPositions(): Promise<void> {
    const model = this.#model
    const unknown = new Map(model.events.filter(({ position }) => position === Infinity).map(event => [placeOf(event), event]))
    let last = { token: '' }
    const seen = new Set<string>()
    for await (const read of this.#store.readAll({ from: model.lastPosition + 1, includeSystem: true })) {
      const event = unknown.get(placeOf(read))
      if (event === undefined) throw new Error(`the log has an event that nobody wrote: ${placeOf(read)}`)
      event.position = read.position
      unknown.delete(placeOf(read))
      if (event.token === last.token) continue
      if (seen.has(event.token)) throw new Error(`the events of ${event.token} do not stand together`)
      seen.add(event.token)
      last = event
    }
    expect([...unknown.keys()], 'events that the log should have').toEqual([])
    model.settlePositions()
  }

  #expectAnswer(call: Call, outcome: Outcome, answer: Answer): void {
    const label = describeCall(call)
    if (answer.kind === 'refused') {
      const refused = 'error' in outcome ? refusalOf(outcome.error) : outcome
      expect(refused, label).toEqual({ ...answer, ...withLaterConflicts(answer, refused) })
      return
    }
    if ('error' in outcome) throw new Error(`${label}: expected ${JSON.stringify(answer)}`, { cause: outcome.error })
    if (call.kind === 'setMetadata' || call.kind === 'tombstone') return
    const ack = outcome.value as { position: number; duplicate: boolean; streams?: readonly RangeAck[] } & RangeAck
    const ranges = (ack.streams ?? [ack]).map(({ firstRevision, lastRevision }) =>
      firstRevision === null ? null : [firstRevision, lastRevision],
    )
    expect(ack.duplicate, label).toBe(answer.kind === 'duplicate')
    expect(ranges, label).toEqual(answer.kind === 'checked' ? call.parts.map(() => null) : answer.ranges)
    if (answer.kind === 'duplicate') expect(ack.position, label).toBe(answer.position())
    if (answer.kind === 'written') {
      const own = this.#model.events.filter(({ token }) => token === call.token)
      expect(ack.position, label).toBe(own.at(-1)!.position)
    }
  }

  async #delete(): Promise<void> {
    const model = this.#model
    const stream = this.#random.pick(this.#streams)
    const expected = this.#random.chance(0.6) ? 'any' : this.#expected(stream)
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
      model.write(parts, this.#token(), this.#clock.now(), () => settings)
    }
    await this.#learnPositions()
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
    model.write([part], this.#token(), this.#clock.now(), () => ({ stream, revision }))
    await this.#learnPositions()
  }

  async #transact(): Promise<void> {
    const random = this.#random
    const model = this.#model
    if (this.#transactions.length === 0 || random.chance(0.5)) {
      const stream = random.pick(this.#streams)
      this.#say(`transaction ${stream.slice(0, 20)}`)
      const transaction = this.#store.transaction(stream, { idleTimeoutMs: Number.MAX_SAFE_INTEGER })
      this.#transactions.push({ transaction, stream, position: model.lastPosition })
      return
    }
    const index = random.int(this.#transactions.length)
    const { transaction, stream, position } = this.#transactions[index]!
    this.#say(`transaction-read ${stream.slice(0, 20)}`)
    const from = random.int(3)
    const outcome = await outcomeOf(take(from === 0 ? transaction.events() : transaction.readFrom(from)))
    const visible = model.visible(stream, this.#clock.now(), position)
    if (visible === 'STREAM_DELETED') expect(codeOf(outcome)).toBe(visible)
    else {
      const expected = typeof visible === 'string' ? [] : visible.filter(({ revision }) => revision >= from)
      expect('value' in outcome ? (outcome.value as RecordedEvent[]).map(placeOf) : outcome).toEqual(expected.map(placeOf))
    }
    const events = this.#events(random.int(4), 0.2)
    const types = [...new Set(events.map(({ type }) => type))]
    const condition = events.length === 0 ? null : { types, streams: [stream], after: position }
    const call = this.#callOf('append', [{ stream, expected: 'any', events }], condition)
    this.#say(`transaction-commit ${describeCall(call)}`)
    const committed = await outcomeOf(transaction.commit(eventsOf(call.parts[0]!, call.token) as NewEvent[]))
    const answer = this.#apply(call)
    await this.#learnPositions()
    if (answer.kind === 'refused' && answer.code === 'CONDITION_FAILED') {
      const { committed: isCommitted, conflicts } = (committed as { value: { committed: boolean; conflicts: [] } }).value
      expect([isCommitted, conflicts.map(placeOf)]).toEqual([false, answer.conflicts])
    } else if (answer.kind === 'refused') {
      expect('error' in committed && refusalOf(committed.error)).toEqual({ ...answer })
    } else {
      if ('error' in committed) throw committed.error
      this.#expectAnswer(call, { value: (committed.value as { ack: unknown }).ack }, answer)
      this.#transactions.splice(index, 1)
    }
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

  // --- the end of a process

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
    const calls = Array.from({ length: 1 + this.#random.int(8) }, () => this.#call(false))
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
      const answer = this.#apply(call)
      expect(answer.kind, describeCall(call)).toBe('written')
    }
    await this.#learnPositions()
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

  /** Of what is not durable now, anything may be left. */
  async #crash(): Promise<void> {
    const random = this.#random
    const log = this.#disk.log.slice()
    const crashing = new CrashingDisk({ initial: this.#disk.initial, log, sectorSize: this.#disk.sectorSize })
    for (let index = 0; index < log.length; index++) crashing.advance(index)
    const keep = random.pick([0, 0.5, 0.9, 1])
    const harm = random.pick([0, 0, 0.3])
    for (const change of crashing.changes()) {
      const damages = fatesOf(change).slice(1)
      const isKept = random.chance(keep)
      const isHarmed = damages.length > 0 && random.chance(harm)
      change.fate = !isKept ? 'lost' : isHarmed ? random.pick(damages) : 'kept'
    }
    this.#content = crashing.afterCrash(String(random.next())).content
    await this.#process.kill()
  }

  async #someTurns(most: number): Promise<void> {
    const turns = this.#random.int(most)
    for (let turn = 0; turn < turns; turn++) {
      if (this.#random.chance(0.7)) await null
      else await new Promise(setImmediate)
    }
  }

  // --- index files

  /** While nobody has the store: kept, deleted, damaged. */
  #treatIndexFiles(): void {
    const random = this.#random
    const treatment = random.int(6)
    if (treatment > 2) return
    const content = new Map(this.#content)
    for (const [path, bytes] of content) {
      if (!path.endsWith('.index') || (treatment > 0 && random.chance(0.5))) continue
      if (treatment < 2) content.delete(path)
      else content.set(path, this.#damaged(bytes))
    }
    this.#say(treatment < 2 ? 'index-files-deleted' : 'index-files-damaged')
    this.#content = content
  }

  #damaged(bytes: Uint8Array): Uint8Array {
    const random = this.#random
    if (random.chance(0.2)) return bytes.slice(0, random.int(bytes.length + 1))
    const damaged = bytes.slice()
    for (let turn = 0; turn < 1 + random.int(3) && damaged.length > 0; turn++)
      damaged[random.int(damaged.length)]! ^= 1 << random.int(8)
    return damaged
  }

  /** A page rots while the store is open. */
  async #damageWhileOpen(): Promise<void> {
    const random = this.#random
    const paths = [...this.#disk.snapshot().keys()].filter(path => path.endsWith('.index'))
    if (paths.length === 0) return
    const path = random.pick(paths)
    this.#say(`rot ${path}`)
    const file = await this.#disk.open(path, 'write').catch(() => null)
    // It may have been merged away meanwhile.
    if (file === null) return
    const size = await file.size()
    const at = random.int(size)
    const byte = new Uint8Array(1)
    await file.read(byte, at)
    byte[0]! ^= 1 << random.int(8)
    await file.write(byte, at)
    await file.close()
  }

  #compare(): Promise<void> {
    // What is read must not decide what happens next.
    const random = this.#random.fork(`reads-${this.#compareCount++}`)
    return expectSameReads(this.#store, this.#model, this.#streams, random, this.#clock.now())
  }
}

interface RangeAck {
  readonly firstRevision: number | null
  readonly lastRevision: number | null
}

/** What is said of a stream stands in another, in one commit with a check of the stream. */
function partsOfChange(stream: string, expected: Expected, type: string, expectedOfOther: Expected): Part[] {
  return [
    { stream, expected, events: [] },
    { stream: `$$${stream}`, expected: expectedOfOther, events: [{ type, id: null }] },
  ]
}

function describeCall({ token, parts, condition, settings }: Call): string {
  const told = parts.map(({ stream, expected, events }) => {
    const list = events.map(({ type, id }) => (id === null ? type : `${type}#${id.slice(-2)}`))
    return `${stream.slice(0, 20)} ${expected} [${list.join(' ')}]`
  })
  return `${token} ${told.join(', ')} ${condition === null ? '' : JSON.stringify(condition)} ${Object.keys(settings).length > 0 ? JSON.stringify(settings) : ''}`
}

function eventsOf({ stream, events }: Part, token: string): NewEvent[] {
  return events.map(({ type, id }, i) => ({ type, data: dataOf(token, stream, i), ...(id !== null && { id }) }))
}

function dataOf(token: string, stream: string, index: number) {
  return { token, index, pad: 'x'.repeat((token.length * 37 + stream.length + index * 101) % 300) }
}

function conditionOf({ types, streams, after }: Condition) {
  return { failIf: { ...(types !== null && { types }), ...(streams !== null && { streams }) }, after }
}

/** A refusal shows what is committed by then: others may have come behind those that the model knows of. */
function withLaterConflicts({ conflicts }: Refusal, refused: Partial<Refusal>): Partial<Refusal> {
  const isLater = conflicts?.every((place, i) => refused.conflicts?.[i] === place) ?? false
  return isLater ? { conflicts: refused.conflicts!, more: refused.more! } : {}
}

function placeOf({ stream, revision }: { readonly stream: string; readonly revision: number }): string {
  return `${revision}@${stream}`
}

async function outcomeOf(promise: Promise<unknown>): Promise<Outcome> {
  return promise.then(
    value => ({ value }),
    (error: unknown) => ({ error }),
  )
}

function codeOf(outcome: Outcome): string | undefined {
  return 'error' in outcome ? (outcome.error as { code?: string }).code : undefined
}

/** What of an error the model has an opinion of. @throws the error when it is no refusal */
function refusalOf(error: unknown): object {
  const { code, stream, expected, actual, conflicts, more } = error as Record<string, unknown>
  switch (code) {
    case 'STREAM_DELETED':
      return { kind: 'refused', code, stream }
    case 'WRONG_EXPECTED_REVISION':
      return { kind: 'refused', code, stream, expected, actual }
    case 'CONDITION_FAILED':
      return { kind: 'refused', code, conflicts: (conflicts as { stream: string; revision: number }[]).map(placeOf), more }
    default:
      throw error
  }
}
