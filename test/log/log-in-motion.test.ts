import { describe, expect, test } from 'vitest'
import type { Disk } from '../../src/disk/disk.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { CHUNK_HEADER_SIZE } from '../../src/format/chunk-header.ts'
import { findLog } from '../../src/log/find-log.ts'
import { DIRECTORY, sized } from '../store/words.ts'
import { settle, stillClock } from '../support/manual-clock.ts'
import { sabotaged } from '../support/sabotage.ts'
import { type OpenRooms, rooms } from './scenes.ts'

/** Another process writes; its clock stands still, so that only appends change the log. */
const writing = (disk: Disk) => rooms(disk, { chunkSizeBytes: 4096, clock: stillClock })

/**
 * The disk as a reader sees it while `meanwhile` happens once, amid its first read of the file from its first record on.
 * @param amid offset in the file from which on the read sees what was done meanwhile.
 */
function interrupted(disk: Disk, name: string, amid: number, meanwhile: () => Promise<unknown>): Disk {
  let isDone = false
  return sabotaged(disk, {
    file: file => ({
      async read(target, from) {
        const count = await file.read(target, from)
        if (!isDone && file.path.endsWith(name) && from === CHUNK_HEADER_SIZE) {
          isDone = true
          await meanwhile()
          // A read is no snapshot: its last bytes may be newer than its first ones.
          await file.read(target.subarray(amid - from, count), amid)
        }
        return count
      },
    }),
  })
}

/** Within the record that the writer appends next to the first chunk. */
const amidTheNext = (writer: OpenRooms) => writer.chaser.published.position + 200

async function found(disk: Disk, writer: OpenRooms): Promise<void> {
  const before = writer.chaser.published.position
  const log = await findLog(disk, DIRECTORY, 'read')
  expect(log!.chunks.all.map(({ isComplete }) => isComplete)).toEqual(writer.chunks.all.map(({ isComplete }) => isComplete))
  expect(log!.end).toBeGreaterThan(log!.chunks.active.start)
  expect(log!.end).toBeLessThanOrEqual(writer.chaser.published.position)
  expect(writer.chaser.published.position, 'something happened meanwhile').toBeGreaterThan(before)
  await log!.chunks.close()
  await writer.close()
}

describe('a log that another process goes on writing while it is being opened for reading', () => {
  test('grows between two looks: what is behind the end that was found is no damage', async () => {
    const disk = new MemoryDisk()
    const writer = await writing(disk)
    await writer.append('s', sized(300))
    const reading = interrupted(disk, '000000.chunk', amidTheNext(writer), async () => {
      for (let turn = 0; turn < 3; turn++) await writer.append('s', sized(300))
    })
    await found(reading, writer)
  })

  test('rolls over between two looks at the active chunk: the directory is looked at again', async () => {
    const disk = new MemoryDisk()
    const writer = await writing(disk)
    await writer.append('s', sized(300))
    const reading = interrupted(disk, '000000.chunk', amidTheNext(writer), async () => {
      for (let turn = 0; turn < 6; turn++) await writer.append('s', sized(900))
    })
    await found(reading, writer)
    expect(writer.chunks.all.length).toBe(2)
  })

  test('rolls over into the chunk that was made ahead, when the one before it has been opened: it is looked at again', async () => {
    const disk = new MemoryDisk()
    const writer = await writing(disk)
    for (let turn = 0; turn < 4; turn++) await writer.append('s', sized(800))
    await settle()
    expect(await disk.list(DIRECTORY)).toContain('000001.chunk')
    const reading = interrupted(disk, '000001.chunk', CHUNK_HEADER_SIZE, async () => {
      for (let turn = 0; turn < 2; turn++) await writer.append('s', sized(800))
    })
    await found(reading, writer)
    expect(writer.chunks.all.length).toBe(2)
  })
})
