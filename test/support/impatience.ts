import type { Disk } from '../../src/disk/disk.ts'
import { sabotaged } from './sabotage.ts'

const MOST_READS = 20_000

/**
 * The disk, for someone who wants to see an end: after more reads than any small store needs, each fails. A loop that reads
 * and never waits would stop the test runner, its timeouts included.
 */
export function impatient(disk: Disk): Disk {
  let left = MOST_READS
  return sabotaged(disk, {
    file: file => ({
      read(target, offset) {
        if (left-- <= 0) throw new Error(`${file.path} was read ${MOST_READS} times: this never ends`)
        return file.read(target, offset)
      },
    }),
  })
}
