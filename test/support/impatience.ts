import type { Disk } from '../../src/disk/disk.ts'

const MOST_READS = 20_000

/**
 * Makes the disk one for someone who wants to see an end: after more reads than any small store needs, each fails. A loop that
 * reads and never waits would stop the test runner, its timeouts included.
 * @returns the same disk.
 */
export function impatient<D extends Disk>(disk: D): D {
  let left = MOST_READS
  const open = disk.open.bind(disk)
  disk.open = async (path, mode) => {
    const file = await open(path, mode)
    const read = file.read.bind(file)
    file.read = (target, offset) => {
      if (left-- <= 0) throw new Error(`${path} was read ${MOST_READS} times: this never ends`)
      return read(target, offset)
    }
    return file
  }
  return disk
}
