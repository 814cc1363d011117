import type { MemoryDisk } from '../../src/disk/memory-disk.ts'

/** Files that are opened on the disk from now on fail to be read while `areFailing`; one by one, not in pieces. */
export function failingReads(disk: MemoryDisk): { areFailing: boolean } {
  const reads = { areFailing: false }
  const open = disk.open.bind(disk)
  disk.open = async (path, mode) => {
    const file = await open(path, mode)
    const read = file.read.bind(file)
    file.read = (target, offset) => (reads.areFailing ? Promise.reject(new Error('EIO')) : read(target, offset))
    return file
  }
  return reads
}
