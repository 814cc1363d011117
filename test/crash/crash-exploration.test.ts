import { describe, expect, test, vi } from 'vitest'
import { Random } from '../support/random.ts'
import { Exploration, type Finding, formatPath, parsePath } from './exploration.ts'
import { type Scene, scenes } from './scenes.ts'

/** Store ids come from the system's randomness: they would make each run another one. */
const ids = vi.hoisted(() => ({ next: (size: number): Uint8Array => new Uint8Array(size) }))
vi.mock('node:crypto', async original => ({
  ...(await original<typeof import('node:crypto')>()),
  randomBytes: (size: number) => Buffer.from(ids.next(size)),
}))

const SEED = process.env['SEED'] ?? '1'
/** STATES=1000000 explores that many, with more seeds. The crashes of `npm run proof`, with which `npm test` ends, go further. */
const WANTED = Number(process.env['STATES'] ?? 10_000)
const SCALE = WANTED / 100_000

const total = { states: 0, recoveries: 0, seconds: 0 }
const contents = new Set<number>()

async function explore(name: string, scene: Scene): Promise<Exploration> {
  const exploration = new Exploration(scene)
  const quota = Math.ceil(scene.quota * SCALE)
  for (let run = 0; exploration.distinct.size < quota && exploration.findings.length === 0; run++) {
    const seed = `${SEED}-${run}`
    seedIds(seed)
    await exploration.run(seed, quota)
  }
  expect(exploration.findings.map(finding => describeFinding(name, finding)).join('\n')).toBe('')
  return exploration
}

function seedIds(seed: string): void {
  const random = new Random(`${seed}/store`)
  ids.next = size => random.bytes(size)
}

function describeFinding(name: string, { seed, path, message }: Finding): string {
  const replay = `SCENE='${name}' SEED=${seed} POINT=${formatPath(path)} npx vitest run test/crash/crash-exploration.test.ts`
  return `${message}\n  replay: ${replay}`
}

describe('after a crash at any moment, every promise holds', () => {
  const { POINT, SCENE } = process.env
  if (POINT !== undefined) {
    test(`replay of ${SCENE} ${SEED} ${POINT}`, async () => {
      seedIds(SEED)
      await new Exploration(scenes[SCENE!]!).replay(SEED, parsePath(POINT))
    })
    return
  }

  test.each(Object.entries(scenes).filter(([name]) => SCENE === undefined || name === SCENE))(
    '%s',
    async (name, scene) => {
      const startedMs = performance.now()
      const exploration = await explore(name, scene)
      const { states, recoveryStates } = exploration
      const distinct = exploration.distinct.size
      const seconds = (performance.now() - startedMs) / 1000
      console.log(`${name}: ${states} states, ${distinct} distinct, ${recoveryStates} of recoveries, ${seconds.toFixed(1)} s`)
      for (const content of exploration.distinct) contents.add(content)
      total.states += states
      total.recoveries += recoveryStates
      total.seconds += seconds
    },
    600_000 * Math.max(1, SCALE),
  )

  test.runIf(SCENE === undefined)(`${WANTED} different crash states were explored`, () => {
    const { states, recoveries, seconds } = total
    const figures = `${states} states, ${contents.size} distinct, ${recoveries} of recoveries`
    console.log(`crash exploration: ${figures}, ${seconds.toFixed(1)} s, SEED=${SEED}`)
    expect(contents.size).toBeGreaterThanOrEqual(WANTED)
  })
})
