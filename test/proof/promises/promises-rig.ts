import type { Rig } from '../rig.ts'
import { checkPromise, PROMISES } from './check-promises.ts'

export const promisesRig: Rig = {
  name: 'promises',
  about: 'Acks, order and outcomes: what nobody may be told before the disk has said so, with calls held in flight.',
  unavailable: async () => null,

  async run(_, progress) {
    const rows: string[][] = []
    const failures: string[] = []
    for (const name of Object.keys(PROMISES)) {
      const broken = await checkPromise(name)
      if (broken !== null) failures.push(broken)
      rows.push([name, broken === null ? 'held' : 'BROKEN'])
      progress(`${broken === null ? 'held' : 'BROKEN'}: ${name}`)
    }
    return {
      figures: { promises: rows.length, broken: failures.length },
      failures,
      tables: [{ title: 'Promises', head: ['promise', 'result'], rows }],
    }
  },
}
