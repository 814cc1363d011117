import { expect } from 'vitest'
import { TailraceError } from '../../src/core/errors.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { all, openStore } from './words.ts'

const STREAMS = ['a', 'b', 'c'] as const
/** Its events come and go: a scavenge has something to drop. */
const FLEETING = 'fleeting'
/** Steps until everything must have come to its end, and long before: nothing waits for more than is held. */
const PATIENCE = 50_000

interface Submission {
  readonly token: string
  readonly stream: string
  readonly count: number
  outcome: 'acked' | 'rejected' | 'unknown' | null
}

/**
 * A store on a disk each of whose calls is held until it is its turn, by the seed; some fail. Time stands still between two steps,
 * and everything that the store has to do at once meets in every order.
 */
export class HeldWorld {
  readonly #random: Random
  readonly #clock = new ManualClock()
  readonly #disk: SimulatedDisk
  readonly #held: (() => void)[] = []
  readonly #submissions: Submission[] = []
  readonly #underWay = new Set<string>()
  readonly #failures: Error[] = []
  readonly #isFaulty: boolean
  #callCount = 0
  #lastAcked = 0
  #store!: EventStore

  constructor(seed: string) {
    this.#random = new Random(seed)
    this.#isFaulty = this.#random.chance(0.5)
    const heldShare = this.#random.pick([0.3, 1])
    const gate = () =>
      this.#random.chance(heldShare) ? new Promise<void>(resolve => this.#held.push(resolve)) : Promise.resolve()
    this.#disk = new SimulatedDisk({ seed: this.#random.next(), gate })
  }

  async live(): Promise<void> {
    const random = this.#random
    const chunkSizeBytes = random.pick([4096, 8192, 65_536])
    const cacheBytes = random.pick([0, 1 << 20])
    this.#make('open', async () => {
      this.#store = await openStore(this.#disk, { chunkSizeBytes, cacheBytes, clock: this.#clock })
    })
    await this.#untilAnswered()
    for (let steps = 40 + random.int(120); steps > 0; steps--) {
      if (random.chance(0.5)) this.#call()
      await this.#goOn()
    }
    this.#make('close', () => this.#store.close())
    for (let steps = random.int(20); steps > 0; steps--) {
      if (random.chance(0.2)) this.#call()
      await this.#goOn()
    }
    await this.#untilAnswered()
    expect(this.#disk.openPaths).toEqual([])
    expect(this.#clock.timerCount).toBe(0)
    if (this.#failures.length > 0) throw this.#failures[0]
    await this.#expectAllThere()
  }

  #call(): void {
    const random = this.#random
    const chosen = random.int(20)
    if (chosen < 10) this.#append(random.chance(0.9) ? random.pick(STREAMS) : FLEETING)
    else if (chosen < 13) this.#make('read', () => this.#read(random.pick(STREAMS)))
    else if (chosen < 14) this.#make('head', () => this.#store.head(random.pick(STREAMS)))
    else if (chosen < 15) this.#make('delete', () => this.#store.delete(FLEETING))
    else if (chosen < 16) this.#make('scavenge', () => this.#store.scavenge())
    else if (chosen < 17) this.#make('subscribe', () => this.#follow())
    else if (chosen < 18 && this.#isFaulty) this.#fail()
    else this.#clock.advance(random.pick([1, 2, 11, 30, 1100]))
  }

  #fail(): void {
    const random = this.#random
    const error = random.pick(['EIO', 'ENOSPC', 'EMFILE'])
    const ops = {
      EIO: ['read', 'datasync', 'writeDurably', 'rename'],
      ENOSPC: ['write', 'writeDurably'],
      EMFILE: ['open'],
    } as const
    this.#disk.failNext({ op: random.pick(ops[error as keyof typeof ops]), error, nth: 1 + random.int(4) })
  }

  /** Until it is answered, the world does not end. */
  #make(what: string, call: () => Promise<unknown>): void {
    const name = `${what} ${this.#callCount++}`
    this.#underWay.add(name)
    const over = () => this.#underWay.delete(name)
    // As an async function: what a closed store throws at once is an answer like any other.
    const answered = (async () => call())()
    answered.then(over, (error: unknown) => {
      over()
      if (!this.#isExpected(error)) this.#failures.push(new Error(`${name}: ${String(error)}`, { cause: error }))
    })
  }

  #isExpected(error: unknown): boolean {
    if (!(error instanceof TailraceError)) return false
    if (['STORE_CLOSED', 'STREAM_NOT_FOUND', 'INVALID_ARGUMENT'].includes(error.code)) return true
    return this.#isFaulty && ['WRITER_FAILED', 'READ_FAILED', 'DISK_FULL'].includes(error.code)
  }

  #append(stream: string): void {
    const random = this.#random
    const count = random.pick([1, 1, 2, 5])
    const submission: Submission = { token: `t${this.#submissions.length}`, stream, count, outcome: null }
    this.#submissions.push(submission)
    const pad = 'x'.repeat(random.pick([0, 50, 500]))
    const events = Array.from({ length: count }, () => ({ type: 'T', data: { token: submission.token, pad } }))
    this.#make('append', async () => {
      try {
        const { position } = await this.#store.append(stream, events)
        expect(position, 'acks come in the order of the log').toBeGreaterThan(this.#lastAcked)
        this.#lastAcked = position
        submission.outcome = 'acked'
      } catch (error) {
        if (error instanceof TailraceError) submission.outcome = error.outcome ?? null
        throw error
      }
    })
  }

  async #read(stream: string): Promise<void> {
    const acked = this.#acked(stream)
    const events = await all(this.#store.readStream(stream))
    expect(events.map(({ revision }) => revision)).toEqual(events.map((_, index) => index))
    const tokens = events.map(({ data }) => (data as { token: string }).token)
    for (const token of acked) expect(tokens, 'what was acked before').toContain(token)
    for (const { token, outcome } of this.#submissions) if (outcome === 'rejected') expect(tokens).not.toContain(token)
  }

  /** Ends with the store. */
  async #follow(): Promise<void> {
    const stream = this.#random.pick(STREAMS)
    let next = 0
    for await (const { revision } of this.#store.subscribe({ stream })) expect(revision).toBe(next++)
  }

  #acked(stream: string): string[] {
    return this.#submissions.filter(one => one.stream === stream && one.outcome === 'acked').map(({ token }) => token)
  }

  /** Some of what is held goes on, and everything that hears of it. */
  async #goOn(): Promise<void> {
    for (let turns = this.#random.int(4); turns >= 0; turns--) {
      if (this.#random.chance(0.6)) this.#release()
      else if (this.#random.chance(0.5)) await null
      else await new Promise(setImmediate)
    }
  }

  #release(): void {
    if (this.#held.length > 0) this.#held.splice(this.#random.int(this.#held.length), 1)[0]!()
  }

  async #untilAnswered(): Promise<void> {
    for (let step = 0; this.#underWay.size > 0 || this.#held.length > 0; step++) {
      if (step > PATIENCE) throw new Error(`never answered: ${[...this.#underWay].join(', ')}`)
      this.#release()
      if (this.#random.chance(0.5)) await new Promise(setImmediate)
      if (step % 100 === 99) this.#clock.advance(30)
    }
    await settle()
  }

  /** What was acked is there, what was rejected is not, and of the rest each as a whole or not at all; in the order of the calls. */
  async #expectAllThere(): Promise<void> {
    const store = await openStore(new MemoryDisk(this.#disk.snapshot()), { clock: this.#clock })
    for (const stream of STREAMS) {
      const events = (await store.exists(stream)) ? await all(store.readStream(stream)) : []
      const there = events.map(({ data }) => (data as { token: string }).token)
      const mine = this.#submissions.filter(one => one.stream === stream)
      const kept = mine.filter(({ token }) => there.includes(token))
      expect(there).toEqual(kept.flatMap(({ token, count }) => Array.from({ length: count }, () => token)))
      for (const { token, outcome } of mine) {
        expect(outcome, token).not.toBe(null)
        if (outcome !== 'unknown') expect(there.includes(token), `${token} was ${outcome}`).toBe(outcome === 'acked')
      }
    }
    await store.close()
  }
}
