/** The events that W4 to W7 read: many short streams and a few longer ones, mixed as users mix them. */
export interface DataSet {
  readonly streams: number
  readonly eventsPerStream: number
  readonly longStreams: number
  readonly eventsPerLongStream: number
  readonly payloadBytes: number
}

/** 1.01 million events of 256 bytes. */
export const MILLION: DataSet = {
  streams: 10_000,
  eventsPerStream: 100,
  longStreams: 10,
  eventsPerLongStream: 1000,
  payloadBytes: 256,
}

/** The same with another number of streams. @param scale of the events; 0.01 is the least. */
export function scaled(scale: number): DataSet {
  return { ...MILLION, streams: Math.round(MILLION.streams * scale) }
}

export function eventCount({ streams, eventsPerStream, longStreams, eventsPerLongStream }: DataSet): number {
  return streams * eventsPerStream + longStreams * eventsPerLongStream
}

export function shortStream(index: number): string {
  return `account-${index}`
}

export function longStream(index: number): string {
  return `ledger-${index}`
}

/**
 * The stream of each event, in the order of the log: each round gives every short stream an event, in an order that changes
 * from round to round, and every long stream its share. So the events of a stream lie as far from each other as can be.
 */
export function* streamsInOrder(set: DataSet): Generator<string> {
  const { streams, eventsPerStream, longStreams, eventsPerLongStream } = set
  const step = stepFor(streams)
  const share = eventsPerLongStream / eventsPerStream
  for (let round = 0; round < eventsPerStream; round++) {
    for (let index = 0; index < streams; index++) yield shortStream((index * step + round * 7919) % streams)
    for (let index = 0; index < longStreams; index++) {
      for (let taken = 0; taken < share; taken++) yield longStream(index)
    }
  }
}

/** A step that visits all of them, far from each other: coprime with their number. */
function stepFor(count: number): number {
  let step = Math.max(1, Math.floor(count * 0.618))
  while (greatestDivisor(step, count) !== 1) step++
  return step
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b)
}

const PAYLOAD_POOL = 256

/** Payloads that no compression makes small; the same in every run. */
export function payloadPool(bytes: number, seed = 1): Uint8Array[] {
  const random = randomNumbers(seed)
  return Array.from({ length: PAYLOAD_POOL }, () => Uint8Array.from({ length: bytes }, () => random() * 256))
}

/** Numbers from 0 to 1, always the same for a seed: mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
