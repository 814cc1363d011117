import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EventStore } from '../../src/store/event-store.ts'
import { Random } from '../support/random.ts'

/**
 * Real processes on a real disk: a child appends under load and tells of each ack, is killed at a random moment, and everything
 * it told of must be there. This finds what kills find; what only a power cut finds is the matter of the crash exploration.
 *
 * SEED=7 ROUNDS=1000 npx vitest run test/crash/kill-9.test.ts
 */
const SEED = Number(process.env['SEED'] ?? 1)
const ROUNDS = Number(process.env['ROUNDS'] ?? 200)
const STREAM_COUNT = 4

/** What the children append, and where. */
interface Lane {
  readonly chunkSize: number
  /** One event in sixteen has up to so many bytes. */
  readonly largestSize: number
  /** Then a new directory: an open reads the whole log. */
  readonly roundsPerStore: number
}

/** Side by side: while one child starts, the other store is checked. Small events roll over often; what large ones leave is met by small ones. */
const LANES: readonly Lane[] = [
  { chunkSize: 32 * 1024, largestSize: 600, roundsPerStore: 25 },
  { chunkSize: 32 * 1024 * 1024, largestSize: 3_000_000, roundsPerStore: 5 },
]

interface Ack {
  readonly stream: number
  readonly firstRevision: number
  readonly count: number
  readonly position: number
}

const figures = { rounds: 0, acks: 0, events: 0, lost: 0, failedOpens: 0 }
let directory: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-kill-'))
})

afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** The same as in append-child.mjs. */
function payloadOf({ largestSize }: Lane, stream: number, k: number): Uint8Array {
  const size = k % 16 === 7 ? (k * 104_729 + stream * 7919) % largestSize : (k * 37 + stream * 11) % 600
  return Buffer.alloc(size, `${SEED} ${stream} ${k} `)
}

/** Lets a child append, and kills it once it has told of so many acks and a moment has passed. @returns all that it told. */
async function killAmidAppends(
  { chunkSize, largestSize }: Lane,
  store: string,
  afterAcks: number,
  thenMs: number,
): Promise<Ack[]> {
  const script = new URL('../support/append-child.mjs', import.meta.url).pathname
  const words = [script, store, SEED, STREAM_COUNT, chunkSize, largestSize].map(String)
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  let told = ''
  let complaints = ''
  let lineCount = 0
  child.stderr.on('data', (data: Buffer) => {
    complaints += data
  })
  child.stdout.on('data', (data: Buffer) => {
    told += data
    for (const byte of data) if (byte === 10) lineCount++
    // The first line says that it is open.
    if (lineCount > afterAcks && !child.killed) setTimeout(() => child.kill('SIGKILL'), thenMs)
  })
  const signal = await endOf(child)
  if (signal !== 'SIGKILL') throw new Error(`the child ended by itself: ${complaints}`)
  // A last line that was cut off tells of nothing.
  const lines = told.slice(0, told.lastIndexOf('\n')).split('\n').slice(1)
  return lines.map(line => {
    const [stream, firstRevision, count, position] = line.split(' ').map(Number)
    return { stream: stream!, firstRevision: firstRevision!, count: count!, position: position! }
  })
}

/** Resolves when the process has ended and everything that it wrote has been read. */
function endOf(child: ChildProcess): Promise<NodeJS.Signals | null> {
  return new Promise(resolve => child.once('close', (_, signal) => resolve(signal)))
}

/** Opens with the engine and compares what is there with everything that was ever acked in this store. */
async function check(lane: Lane, path: string, acks: readonly Ack[]): Promise<void> {
  let store: EventStore
  try {
    store = await EventStore.open(path, { chunkSizeBytes: lane.chunkSize })
  } catch (error) {
    figures.failedOpens++
    throw error
  }
  const positions: number[][] = []
  for (let stream = 0; stream < STREAM_COUNT; stream++) {
    const found: number[] = []
    if (await store.exists(`stream-${stream}`)) {
      for await (const { revision, type, bytes, position } of store.readStream(`stream-${stream}`)) {
        const k = found.length
        const isRight = revision === k && type === `t-${k}` && Buffer.compare(bytes, payloadOf(lane, stream, k)) === 0
        if (!isRight) expect.fail(`stream ${stream}, revision ${k}: ${type} at ${position} with other bytes`)
        found.push(position)
      }
    }
    positions.push(found)
  }
  for (const { stream, firstRevision, count, position } of acks) {
    if (positions[stream]![firstRevision + count - 1] !== position) figures.lost++
  }
  const found = positions.reduce((sum, list) => sum + list.length, 0)
  expect(found).toBe(store.recovery.events)
  await store.close()
  expect(figures.lost).toBe(0)
}

async function playLane(lane: Lane, index: number, rounds: number): Promise<void> {
  const random = new Random(`${SEED}/${index}`)
  let acks: Ack[] = []
  let path = ''
  for (let round = 0; round < rounds; round++) {
    if (round % lane.roundsPerStore === 0) {
      path = join(directory, `store-${index}-${round}`)
      acks = []
    }
    // In the first moment, too: amid the creation, or the recovery from the last kill.
    const told = await killAmidAppends(lane, path, random.chance(0.1) ? 0 : random.int(120), random.int(4))
    acks.push(...told)
    figures.rounds++
    figures.acks += told.length
    figures.events += told.reduce((sum, { count }) => sum + count, 0)
    await check(lane, path, acks)
  }
}

describe(`${ROUNDS} times killed under load`, () => {
  test(
    'everything acked is there, byte for byte, and the store goes on',
    async () => {
      const startedMs = performance.now()
      await Promise.all(LANES.map((lane, index) => playLane(lane, index, Math.ceil(ROUNDS / LANES.length))))
      const seconds = (performance.now() - startedMs) / 1000
      const { rounds, events, lost, failedOpens } = figures
      console.log(
        `kill -9: ${rounds} rounds, ${figures.acks} acks of ${events} events, ${lost} lost, ${failedOpens} failed opens, ` +
          `${seconds.toFixed(1)} s, SEED=${SEED}`,
      )
      expect(figures.acks).toBeGreaterThan(ROUNDS)
    },
    1000 * ROUNDS + 60_000,
  )
})
