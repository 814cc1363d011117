import { expect, test } from 'vitest'
import { ChunkNumber, LogPosition } from '../../src/core/positions.ts'
import { ChunkFile } from '../../src/log/chunk-file.ts'
import { NextChunk } from '../../src/log/next-chunk.ts'
import { STORE_ID } from '../format/records.ts'
import { settle, stillClock } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

const CHUNK_SIZE = 4096

test.each([
  ['made ahead', (next: NextChunk, active: ChunkFile) => next.prepare(active, CHUNK_SIZE)],
  ['made for a roll-over', (next: NextChunk, active: ChunkFile) => void next.ensure(active)],
])('the next chunk, when it is closed while it is being %s, is made and closed', async (_, make) => {
  const disk = new SimulatedDisk()
  await disk.makeDirectory('/data')
  const header = { storeId: STORE_ID, generation: 0, start: LogPosition.start, chunkSize: CHUNK_SIZE, createdMs: 0 }
  const active = await ChunkFile.create(disk, '/data', { ...header, number: ChunkNumber.of(0) })
  const next = new NextChunk(disk, '/data', stillClock, CHUNK_SIZE, null)
  const held = disk.hold('rename')
  make(next, active)
  await held.reached
  let isClosed = false
  const closing = next.close().then(() => {
    isClosed = true
  })
  await settle()
  expect(isClosed).toBe(false)
  held.release()
  await closing
  expect(disk.openPaths.length).toBe(1)
  await active.close()
  expect(disk.openPaths).toEqual([])
})
