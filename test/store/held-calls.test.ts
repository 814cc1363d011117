/**
 * Everything at once, in every order: appends, reads, subscriptions, deletions, scavenges and the close meet on a disk that holds each of
 * its calls, and lets them go on by the seed. Each call is answered once, none is answered wrongly, and nothing is left open.
 *
 * SEED=x takes other worlds, SEED=x-17 replays one; WORLDS=10000 looks for longer.
 */
import { expect, test } from 'vitest'
import { HeldWorld } from './held-world.ts'

const SEED = process.env['SEED'] ?? '1'
const WORLDS = Number(process.env['WORLDS'] ?? 80)

async function liveThrough(seed: string): Promise<void> {
  try {
    await new HeldWorld(seed).live()
  } catch (error) {
    throw new Error(`SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

test(
  `whatever order the disk answers in, every call is answered, and rightly (SEED=${SEED})`,
  async () => {
    if (/-\d+$/.test(SEED)) return liveThrough(SEED)
    expect(WORLDS).toBeGreaterThan(0)
    for (let world = 0; world < WORLDS; world++) await liveThrough(`${SEED}-${world}`)
  },
  120_000 + WORLDS * 100,
)
