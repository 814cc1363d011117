import { parseArgs } from 'node:util'
import { Exploration, parsePath } from '../../crash/exploration.ts'
import { scenes } from '../../crash/scenes.ts'
import { SequenceExploration } from '../../crash/sequence-exploration.ts'
import { seedStoreIds } from '../../support/store-ids.ts'
import { DENSE } from './dense.ts'

/** Makes one crash again that broke a promise, and tells how it came about. */
const { values } = parseArgs({
  options: {
    scene: { type: 'string' },
    sequence: { type: 'string', default: '' },
    sector: { type: 'string', default: '512' },
    seed: { type: 'string', default: '1' },
    path: { type: 'string', default: '' },
  },
})
const { scene, sequence, seed } = values
const path = parsePath(values.path)
if (scene !== undefined) {
  seedStoreIds(seed)
  await new Exploration(scenes[scene]!).replay(seed, path)
} else {
  const sectorSize = values.sector === '4096' ? 4096 : 512
  await new SequenceExploration({ seed, sectorSize, crash: DENSE }).replay(sequence, path, console.log)
}
console.log('Every promise held.')
