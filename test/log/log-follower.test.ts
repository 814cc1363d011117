import { beforeAll, describe, expect, test } from 'vitest'
import type { LogPosition } from '../../src/core/positions.ts'
import { type DiskContent, MemoryDisk } from '../../src/disk/memory-disk.ts'
import { encodeFlushedSlot } from '../../src/format/flushed-slot.ts'
import { findLog } from '../../src/log/find-log.ts'
import { LogFollower } from '../../src/log/log-follower.ts'
import { DIRECTORY, rejectionOf, sized, upTo } from '../store/words.ts'
import { ManualClock, stillClock } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { rooms } from './scenes.ts'

const file = (name: string) => `${DIRECTORY}/${name}`
const [FIRST, SECOND, HINT] = [file('000000.chunk'), file('000001.chunk'), file('flushed')]

/** The files amid the first chunk, and when the second one is in use. */
let before: DiskContent
let after: DiskContent
let storeId: Uint8Array
let end: LogPosition
beforeAll(async () => {
  const disk = new MemoryDisk()
  const writer = await rooms(disk, { chunkSizeBytes: 4096, clock: stillClock })
  storeId = writer.storeId
  await writer.append('s', sized(300))
  before = disk.snapshot()
  for (let turn = 0; turn < 5; turn++) await writer.append('s', sized(900))
  await writer.close()
  after = disk.snapshot()
  const found = await findLog(disk, DIRECTORY, 'read')
  end = found!.end
})

/** A follower that has seen nothing but the first append; the hint speaks of the second chunk already. */
async function followerOf(disk: MemoryDisk | SimulatedDisk) {
  const follower = new LogFollower(disk, DIRECTORY, (await findLog(disk, DIRECTORY, 'read'))!, stillClock)
  const start = follower.flushed.position
  await put(disk, HINT, encodeFlushedSlot({ storeId, position: end }))
  return { follower, start }
}

/** Files that are open stay the same files. */
async function put(disk: MemoryDisk | SimulatedDisk, path: string, bytes: Uint8Array): Promise<void> {
  const writing = await disk.open(path, disk.snapshot().has(path) ? 'write' : 'create')
  await writing.write(bytes, 0)
  await writing.truncate(bytes.length)
  await writing.close()
}

describe('who follows a log through a roll-over', () => {
  test('waits where it is until the footer is there, then at the end of that chunk for the next one, then goes on', async () => {
    const disk = new MemoryDisk(before)
    const { follower, start } = await followerOf(disk)
    await follower.refresh()
    expect(follower.flushed.position, 'no footer').toBe(start)
    await put(disk, FIRST, after.get(FIRST)!)
    await follower.refresh()
    const completed = follower.flushed.position
    expect(completed, 'no next chunk').toBeGreaterThan(start)
    expect(completed).toBeLessThan(4096)
    await put(disk, SECOND, after.get(SECOND)!.slice(0, 100))
    await follower.refresh()
    expect(follower.flushed.position, 'a next chunk without a whole header').toBe(completed)
    await put(disk, SECOND, after.get(SECOND)!)
    await follower.refresh()
    expect(follower.flushed.position).toBe(end)
    await follower.close()
  })

  test('is told when the next chunk can not be opened, stays where it is, and can look again', async () => {
    const disk = new SimulatedDisk({ content: before })
    const { follower, start } = await followerOf(disk)
    await put(disk, FIRST, after.get(FIRST)!)
    await put(disk, SECOND, after.get(SECOND)!)
    disk.failNext({ op: 'open', path: SECOND, error: 'EIO' })
    await expect(follower.refresh()).rejects.toMatchObject({ code: 'READ_FAILED', cause: { code: 'EIO' } })
    expect(follower.flushed.position).toBe(start)
    await follower.refresh()
    expect(follower.flushed.position).toBe(end)
    await follower.close()
  })

  test('stays where it is when a store was made anew in the place of the one it follows', async () => {
    const disk = new MemoryDisk(before)
    const { follower, start } = await followerOf(disk)
    const another = new MemoryDisk()
    const writer = await rooms(another, { chunkSizeBytes: 4096, clock: stillClock })
    for (let turn = 0; turn < 6; turn++) await writer.append('another', sized(900))
    await writer.close()
    await put(disk, FIRST, after.get(FIRST)!)
    await put(disk, SECOND, another.snapshot().get(SECOND)!)
    await follower.refresh()
    expect(follower.flushed.position).toBeGreaterThan(start)
    expect(follower.flushed.position).toBeLessThan(end)
    await follower.close()
  })

  test('keeps no file of a next chunk open that it does not go to', async () => {
    const disk = new SimulatedDisk({ content: before })
    const { follower } = await followerOf(disk)
    const damaged = Buffer.from(after.get(FIRST)!)
    damaged[damaged.length - 1]! ^= 1
    await put(disk, FIRST, damaged)
    await put(disk, SECOND, after.get(SECOND)!)
    const { length } = disk.openPaths
    for (const _ of upTo(3)) await follower.refresh()
    expect(disk.openPaths.length).toBe(length)
    await follower.close()
    expect(disk.openPaths).toEqual([])
  })

  test('is told when the next chunk is of a version to come', async () => {
    const disk = new MemoryDisk(before)
    const { follower } = await followerOf(disk)
    await put(disk, FIRST, after.get(FIRST)!)
    await put(disk, SECOND, after.get(SECOND)!.slice().fill(99, 8, 9))
    await expect(follower.refresh()).rejects.toMatchObject({ code: 'UNSUPPORTED_FORMAT' })
    await follower.close()
  })

  test('lets go of all files when it is closed, though the look under way fails', async () => {
    const disk = new SimulatedDisk({ content: before })
    const { follower } = await followerOf(disk)
    const reading = disk.hold('read', { path: HINT })
    const look = rejectionOf(follower.refresh())
    await reading.reached
    const closing = follower.close()
    reading.fail('EIO')
    expect(await look).toMatchObject({ code: 'READ_FAILED', cause: { code: 'EIO' } })
    await closing
    expect(disk.openPaths).toEqual([])
  })
})

test('what was written in the place of what was taken back is seen, though the hint stands still', async () => {
  const disk = new MemoryDisk()
  const begun = await rooms(disk, { clock: stillClock })
  await begun.append('s', sized(300))
  const written = async (...sizes: number[]) => {
    const own = new MemoryDisk(disk.snapshot())
    const writer = await rooms(own, { clock: stillClock })
    for (const size of sizes) await writer.append('s', sized(size))
    const content = own.snapshot()
    await writer.close()
    return content
  }
  const [takenBack, instead] = [await written(700), await written(...upTo(10).map(() => 300))]
  const [reading, clock] = [new MemoryDisk(takenBack), new ManualClock()]
  const follower = new LogFollower(reading, DIRECTORY, (await findLog(reading, DIRECTORY, 'read'))!, clock)
  const look = () => {
    clock.advance(1000)
    return follower.refresh()
  }
  await look()
  await put(reading, FIRST, instead.get(FIRST)!)
  await look()
  await look()
  const found = await findLog(new MemoryDisk(instead), DIRECTORY, 'read')
  expect(follower.flushed.position).toBe(found!.proven)
  await follower.close()
  await begun.close()
})
