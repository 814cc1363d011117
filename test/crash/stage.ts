import type { DiskContent } from '../../src/disk/memory-disk.ts'
import { EventStore } from '../../src/store/event-store.ts'
import type { StoreOptions } from '../../src/store/options.ts'
import { AppendLedger, type AppendSpec, type Expectation } from '../support/append-ledger.ts'
import { impatient } from '../support/impatience.ts'
import { audit } from '../support/log-audit.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { MortalDisk } from '../support/mortal-disk.ts'
import type { Mark } from '../support/operation-log.ts'
import { Random } from '../support/random.ts'
import { type Sabotage, sabotaged } from '../support/sabotage.ts'
import { SimulatedDisk, type SimulatedDiskOptions } from '../support/simulated-disk.ts'

export const DIRECTORY = '/store'

export interface StageOptions {
  readonly store?: StoreOptions
  readonly disk?: SimulatedDiskOptions
  /** What breaks between the store and the disk. */
  readonly sabotage?: Sabotage
}

/** What an earlier run left: the disk, the book, and what may be expected of them. */
export interface Earlier {
  readonly content: DiskContent
  readonly ledger: AppendLedger
  readonly expectation: Expectation
}

/**
 * Where a workload is played: a simulated disk, a clock that the script moves, the book of all appends, and one store at a
 * time. The script speaks in words; the disk records.
 */
export class Stage {
  readonly disk: SimulatedDisk
  readonly clock = new ManualClock()
  readonly ledger: AppendLedger
  readonly random: Random
  readonly #options: StoreOptions
  readonly #sabotage: Sabotage | undefined
  #process: MortalDisk | null = null
  #store: EventStore | null = null
  #settling: Promise<void>[] = []

  constructor(seed: string, { store = {}, disk = {}, sabotage }: StageOptions = {}, earlier?: Earlier) {
    this.random = new Random(seed)
    this.disk = new SimulatedDisk({ seed, ...disk, ...(earlier && { content: earlier.content }) })
    this.#sabotage = sabotage
    impatient(this.disk)
    this.#options = { ...store, clock: this.clock }
    const mark = (label: string, payload: unknown) => this.disk.mark(label, payload)
    this.ledger = earlier?.ledger.fork(mark, earlier.expectation) ?? new AppendLedger(seed, mark)
  }

  get store(): EventStore {
    if (this.#store === null) throw new Error('no store is open')
    return this.#store
  }

  /** Opens the store, compares it with the book, and notes what it showed: from then on that must stay. */
  async open(): Promise<void> {
    this.#process = new MortalDisk(this.#sabotage === undefined ? this.disk : sabotaged(this.disk, this.#sabotage))
    this.#store = await EventStore.openOn(this.#process, DIRECTORY, this.#options)
    if (this.ledger.submissions.length === 0) return
    const marks = this.disk.log.filter((entry): entry is Mark => entry.kind === 'mark')
    try {
      this.ledger.found(await audit(this.#store, this.ledger, this.ledger.expectationAfter(marks)))
    } catch (error) {
      await this.close().catch(() => {})
      throw error
    }
  }

  /** An append that nobody waits for yet. */
  begin(stream: string, sizes: readonly number[], expectedRevision?: AppendSpec['expectedRevision']): void {
    this.#settling.push(
      this.ledger.append(this.store, { stream, sizes, ...(expectedRevision !== undefined && { expectedRevision }) }),
    )
  }

  /** Waits until all appends that were begun are settled. */
  async settled(): Promise<void> {
    await Promise.all(this.#settling)
    this.#settling = []
  }

  async append(stream: string, ...sizes: number[]): Promise<void> {
    this.begin(stream, sizes)
    await this.settled()
  }

  /** Nothing happens for a while: the hint is written, and then the proof. */
  async idle(): Promise<void> {
    for (const ms of [2, 20, 2]) {
      this.clock.advance(ms)
      await settle()
    }
  }

  /** Time passes, without a pause in the work. */
  tick(ms = 2): void {
    this.clock.advance(ms)
  }

  async close(): Promise<void> {
    const { store } = this
    this.#store = null
    await Promise.all([store.close(), this.settled()])
  }

  /** The process dies, the machine lives on: what it had handed to the kernel is seen by the next one, durable or not. */
  async kill(): Promise<void> {
    await this.#process!.kill()
    this.#store = null
    this.#settling = []
  }

  stream(): string {
    return this.random.pick(['orders', 'payments', 'a'])
  }

  size(limit: number): number {
    return this.random.int(limit)
  }

  sizes(count: number, limit: number): number[] {
    return Array.from({ length: count }, () => this.size(limit))
  }
}
