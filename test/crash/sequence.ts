import { StreamNotFoundError } from '../../src/core/errors.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { impatient } from '../support/impatience.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { seedStoreIds } from '../support/store-ids.ts'
import { pictureOf, type StorePicture } from './store-picture.ts'

export const DIRECTORY = '/store'
export const STREAMS = ['orders', 'payments'] as const
export const STORE_OPTIONS = { chunkSizeBytes: 4096 }

/** The operations of which sequences are made, by a letter each. */
export const OPERATIONS = {
  a: 'append one event',
  n: 'append three events at once',
  m: 'commit to two streams',
  r: 'append an event that makes the chunk roll over',
  i: 'do nothing until the log is proven',
  d: 'delete a stream',
  t: 'keep only the last event of a stream',
  e: 'ask for an event to be erased',
  s: 'scavenge',
  b: 'back up',
  o: 'close and open again',
} as const
export type Letter = keyof typeof OPERATIONS
/** The first of all is the open that makes the store. */
export type Step = Letter | 'open'
export const LETTERS = Object.keys(OPERATIONS) as Letter[]

/** All sequences of so many operations. */
export function sequencesOf(length: number): string[] {
  if (length === 0) return ['']
  return sequencesOf(length - 1).flatMap(shorter => LETTERS.map(letter => shorter + letter))
}

/** A call that can be made again: with the same ids, at the same expected revision. */
export interface Retry {
  readonly stream: string
  readonly events: readonly { readonly type: string; readonly data: Uint8Array; readonly id: string }[]
  readonly expectedRevision: number | 'no_stream'
  /** Of the ack; null while there is none. */
  position: number | null
}

/** What a sequence was, step by step: the log of the disk has a mark 'step' behind each. */
export interface Played {
  readonly disk: SimulatedDisk
  /** What readers saw after each step; the first is before any. */
  readonly pictures: readonly StorePicture[]
  readonly letters: readonly Step[]
  /** The append that each step was, if it was one with ids. */
  readonly retries: readonly (Retry | null)[]
  /** Directories that backups were made into, by step. */
  readonly backups: ReadonlyMap<number, string>
}

const EMPTY: StorePicture = { all: [], streams: new Map(STREAMS.map(stream => [stream, ['not found']])) }

/** Plays the sequence on a store of its own, one operation after the other. The same arguments give the same log. */
export async function play(sequence: string, seed: string, sectorSize: 512 | 4096): Promise<Played> {
  seedStoreIds(`${seed}/${sequence}`)
  return new Player(sequence, seed, sectorSize).play()
}

class Player {
  readonly #sequence: string
  readonly #random: Random
  readonly #disk: SimulatedDisk
  readonly #clock = new ManualClock()
  readonly #pictures: StorePicture[] = [EMPTY]
  readonly #letters: (Letter | 'open')[] = []
  readonly #retries: (Retry | null)[] = []
  readonly #backups = new Map<number, string>()
  #retry: Retry | null = null
  #store!: EventStore

  constructor(sequence: string, seed: string, sectorSize: 512 | 4096) {
    this.#sequence = sequence
    this.#random = new Random(`${seed}/${sequence}`)
    this.#disk = new SimulatedDisk({ seed: `${seed}/${sequence}`, sectorSize })
  }

  async play(): Promise<Played> {
    await this.#step('open', () => this.#open())
    await this.#step('a', () => this.#append('orders', 1, 300))
    for (const letter of this.#sequence) await this.#step(letter as Letter, () => this.#do(letter as Letter))
    await settle()
    const { played } = this
    await this.#store.close()
    return played
  }

  get played(): Played {
    return {
      disk: this.#disk,
      pictures: this.#pictures,
      letters: this.#letters,
      retries: this.#retries,
      backups: this.#backups,
    }
  }

  async #step(letter: Letter | 'open', work: () => Promise<void>): Promise<void> {
    this.#letters.push(letter)
    this.#retry = null
    const index = this.#retries.push(null) - 1
    await work()
    this.#retries[index] = this.#retry
    this.#disk.mark('step')
    this.#pictures.push(await pictureOf(this.#store, STREAMS, this.#sequence.includes('e')))
  }

  async #open(): Promise<void> {
    this.#store = await EventStore.openOn(impatient(this.#disk), DIRECTORY, { ...STORE_OPTIONS, clock: this.#clock })
  }

  #do(letter: Letter): Promise<unknown> & Promise<void> {
    return this.#call(letter) as Promise<void>
  }

  async #call(letter: Letter): Promise<void> {
    const random = this.#random
    const store = this.#store
    switch (letter) {
      case 'a':
        return this.#append(random.pick(STREAMS), 1, 200)
      case 'n':
        return this.#append(random.pick(STREAMS), 3, 250)
      case 'm': {
        const [orders, payments] = [this.#events('m', 1, 200), this.#events('m', 2, 100)]
        const expectedRevision = (await store.head('orders')) ?? undefined
        await store.commit([
          { stream: 'orders', events: orders, expectedRevision },
          { stream: 'payments', events: payments },
        ])
        return
      }
      case 'r':
        // Nearly all that a chunk holds: whatever stands in the active one, this does not fit behind it.
        return this.#append('payments', 1, 3750)
      case 'i':
        for (const ms of [2, 20, 2]) {
          this.#clock.advance(ms)
          await settle(4)
        }
        return
      case 'd':
        await store.delete('orders')
        return
      case 't':
        await store.setMetadata('orders', { maxCount: 1 })
        return
      case 'e': {
        const head = await store.head('orders')
        if (head === null) return
        await store.erase('orders', head).catch((error: unknown) => {
          // A scavenge has taken it already.
          if (!(error instanceof StreamNotFoundError)) throw error
        })
        return
      }
      case 's':
        await store.scavenge()
        return
      case 'b': {
        const directory = `/backup-${this.#backups.size}`
        this.#backups.set(this.#letters.length - 1, directory)
        await store.backup(directory)
        return
      }
      case 'o':
        await store.close()
        return this.#open()
    }
  }

  async #append(stream: string, count: number, size: number): Promise<void> {
    const events = this.#events(stream, count, size)
    const head = await this.#store.head(stream)
    // A stream that was deleted goes on where it was: only then is the place not certain.
    const isNew = head === null && !this.#letters.includes('d')
    const expectedRevision = head ?? (isNew ? ('no_stream' as const) : null)
    const retry: Retry | null = expectedRevision === null ? null : { stream, events, expectedRevision, position: null }
    this.#retry = retry
    const { position } = await this.#store.append(
      stream,
      events,
      retry === null ? {} : { expectedRevision: retry.expectedRevision },
    )
    if (retry !== null) retry.position = position
  }

  #events(name: string, count: number, size: number) {
    const random = this.#random
    return Array.from({ length: count }, (_, k) => ({
      type: `${name}-${this.#letters.length}.${k}`,
      data: random.bytes(size > 1000 ? size - random.int(150) : 1 + random.int(size)),
      id: uuid(random),
      ...(k === 1 && { metadata: { step: this.#letters.length } }),
    }))
  }
}

function uuid(random: Random): string {
  const hex = Buffer.from(random.bytes(16)).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
