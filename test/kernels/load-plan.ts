import type { NewEvent } from '../../src/core/events.ts'
import type { Durability } from '../../src/writer/durability.ts'

/** What a load does to a store, in one life of its process. */
export interface LoadPlan {
  readonly directory: string
  readonly seed: number
  /** Which process this is: no two that ever write to one store have the same. */
  readonly life: number
  readonly chunkSizeBytes: number
  readonly durability: Durability
  readonly maxPayloadSize: number
  /** Of one event in 32; where it is left out, none is larger than the others. */
  readonly maxLargeSize?: number
  /** Of each stream. */
  readonly maxInFlight: number
  /** Deletes streams, sets metadata, scavenges. */
  readonly withMaintenance: boolean
}

/** What a payload depends on, beside its place. */
export type PayloadPlan = Pick<LoadPlan, 'seed' | 'maxPayloadSize' | 'maxLargeSize'>

/** Who wrote an event: kept in its metadata, so that a reader can tell appends apart and see whether they are whole. */
export interface Authorship {
  /** Names the append: no two have the same. */
  readonly serial: string
  /** Which event of the append this is, over all its streams. */
  readonly part: number
  readonly partCount: number
}

/** Streams whose names begin so are never deleted: everything in them stays. */
export const KEPT = 'keep-'
/** Appended to and deleted in turn. */
export const DOOMED = 'doomed-'
/** Keeps so many events. */
export const FADING = 'fading'
export const FADING_COUNT = 20
/** Deleted for good by the life that made them. */
export const TOMB = 'tomb-'
/** Its events have ids from outside, and are sent again by the next life. */
export const RETRIED = 'keep-retried'

export function eventAt(plan: PayloadPlan, stream: string, revision: number, authorship: Authorship): NewEvent {
  const event = { type: typeAt(revision), data: payloadAt(plan, stream, revision), metadata: { ...authorship } }
  return stream === RETRIED ? { ...event, id: idAt(plan.seed, stream, revision) } : event
}

export function typeAt(revision: number): string {
  return `type-${revision % 7}`
}

/** Depends on nothing but what is named, so that everybody knows what an event must say. */
export function payloadAt(
  { seed, maxPayloadSize, maxLargeSize = maxPayloadSize }: PayloadPlan,
  stream: string,
  revision: number,
): Uint8Array {
  let state = hash(`${seed}/${stream}/${revision}`)
  const bytes = new Uint8Array(state % ((revision % 32 === 5 ? maxLargeSize : maxPayloadSize) + 1))
  for (let index = 0; index < bytes.length; index++) {
    if (index % 4 === 0) state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[index] = state >>> (8 * (index % 4))
  }
  return bytes
}

function idAt(seed: number, stream: string, revision: number): string {
  const words = ['a', 'b', 'c', 'd'].map(part => hash(`${part}/${seed}/${stream}/${revision}`).toString(16).padStart(8, '0'))
  const hex = words.join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d)
  return (value ^ (value >>> 13)) >>> 0
}
