import { afterEach, describe, expect, test, vi } from 'vitest'
import { ChunkFile } from '../../src/log/chunk-file.ts'
import type { Sabotage } from '../support/sabotage.ts'
import { Exploration } from './exploration.ts'
import { type Scene, scenes } from './scenes.ts'

/** A check that can't fail shows nothing: each of these faults, put between engine and disk, must be found. */

const checksums = vi.hoisted(() => ({ areOff: false }))
vi.mock('../../src/format/checksum.ts', async original => {
  const real = await original<typeof import('../../src/format/checksum.ts')>()
  const checksumRange: typeof real.checksumRange = (...range) => (checksums.areOff ? 7 : real.checksumRange(...range))
  return { ...real, checksumRange }
})

afterEach(() => {
  checksums.areOff = false
  vi.restoreAllMocks()
})

/** Explores until something is found. */
async function findingsOf(name: string, change: Partial<Scene>): Promise<string[]> {
  const exploration = new Exploration({ ...scenes[name]!, ...change })
  for (let run = 0; run < 30 && exploration.findings.length === 0; run++) await exploration.run(`sane-${run}`, 20_000)
  console.log(`${name}: found after ${exploration.states} states: ${exploration.findings[0]?.message.split('\n')[0]}`)
  return exploration.findings.map(({ message }) => message)
}

function sabotage(name: string, sabotage: Sabotage): Promise<string[]> {
  return findingsOf(name, { options: { ...scenes[name]!.options, sabotage } })
}

describe('the exploration finds', () => {
  test('a disk that does not sync', async () => {
    const findings = await sabotage('roll-overs', {
      file: file => ({ datasync: async () => {}, writeDurably: (bytes, offset) => file.write(bytes, offset) }),
    })
    expect(findings[0]).toMatch(/^I11?: /)
  })

  test('one sync in ten that is left out', async () => {
    let count = 0
    const findings = await sabotage('several streams with several appends in flight', {
      file: file => ({
        writeDurably: (bytes, offset) => (++count % 10 === 0 ? file.write(bytes, offset) : file.writeDurably(bytes, offset)),
      }),
    })
    expect(findings[0]).toMatch(/^I11?: /)
  })

  test('a directory that is not synced after a chunk was made', async () => {
    const findings = await sabotage('roll-overs', { disk: () => ({ syncDirectory: async () => {} }) })
    expect(findings[0]).toMatch(/^I11?: /)
  })

  test('acks that come before the sync', async () => {
    const { options } = scenes['roll-overs']!
    const findings = await findingsOf('roll-overs', { options: { ...options, store: { ...options.store, durability: 'os' } } })
    expect(findings[0]).toMatch(/^I11?: /)
  })

  test('a recovery that does not write again what a failed sync left in doubt', async () => {
    const findings = await sabotage('a sync fails, and the store is opened again', {
      file: file => ({ rewriteDurably: () => file.datasync() }),
    })
    expect(findings[0]).toMatch(/^I11?: /)
  })

  test('a recovery that leaves the torn tail where it is', async () => {
    vi.spyOn(ChunkFile.prototype, 'cut').mockResolvedValue()
    const findings = await findingsOf('appends of several events', {})
    expect(findings[0]).toMatch(/^I/)
  })

  test('records without checksums', async () => {
    checksums.areOff = true
    const findings = await findingsOf('several streams with several appends in flight', {})
    expect(findings[0]).toMatch(/^I/)
  })
})
