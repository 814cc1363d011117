import { expect, test } from 'vitest'
import { SequenceExploration } from './sequence-exploration.ts'

/** Streams cut short, deleted and erased from, over several chunks, so that a scavenge has chunks to rewrite and others to leave. */
const BEFORE = ['nrtr', 'mrdr', 'arer', 'nrnrt', 'mrtrd', 'rtrsnr', 'rdrsmr', 'brtr']

test('a scavenge that is cut off a thousand times loses nothing, and brings nothing back', async () => {
  let states = 0
  for (const before of BEFORE) {
    const exploration = new SequenceExploration({
      seed: process.env['SEED'] ?? '1',
      sectorSize: 512,
      crash: { exhaustiveLimit: 7, damagedPerSubset: 4, randomCount: 100, sampleLimit: 12 },
      isLastOnly: true,
    })
    await exploration.run(`${before}s`)
    expect(exploration.findings.map(({ path, message }) => `${before}s ${JSON.stringify(path)} ${message}`)).toEqual([])
    states += exploration.cutOff.s ?? 0
  }
  console.log(`${states} crashes in the midst of a scavenge`)
  expect(states).toBeGreaterThanOrEqual(1000)
}, 300_000)
