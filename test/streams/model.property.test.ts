/**
 * The index equals the log: a store and a plain model of it live through the same random life (appends, commits, conditions,
 * deletions, erasures, transactions, roll-overs, scavenges, full disks, rotten index files, crashes, reopens) and answer the same.
 *
 * SEED=x takes other lives, SEED=x-17 replays one; with OFTEN=1 everything is read after each step. LIVES_SECONDS=600 looks for
 * longer.
 */
import { expect, test } from 'vitest'
import { StoreWorld } from './store-world.ts'

const SEED = process.env['SEED'] ?? '1'
const LIVES_SECONDS = Number(process.env['LIVES_SECONDS'] ?? 20)
/** Steps of a life that are told when it went wrong. */
const TOLD_STEPS = 60

const counts = new Map<string, number>()

async function liveThrough(seed: string): Promise<void> {
  const world = new StoreWorld(seed, counts)
  try {
    await world.live()
  } catch (error) {
    const story = world.trace.slice(-TOLD_STEPS).join('\n')
    throw new Error(`SEED=${seed}: ${error instanceof Error ? error.message : String(error)}\n${story}`, { cause: error })
  }
}

test(
  `a store answers as its model does (SEED=${SEED})`,
  async () => {
    if (/-\d+$/.test(SEED)) return liveThrough(SEED)
    const endMs = performance.now() + LIVES_SECONDS * 1000
    let lives = 0
    for (; performance.now() < endMs; lives++) await liveThrough(`${SEED}-${lives}`)
    const told = [...counts].map(([what, count]) => `${what} ${count}`).join(', ')
    console.log(`${lives} lives from SEED=${SEED}-0 on: ${told}`)
    expect(lives).toBeGreaterThan(0)
  },
  LIVES_SECONDS * 1000 + 120_000,
)
