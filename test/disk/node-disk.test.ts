import fs, { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { MIB } from '../../src/core/limits.ts'
import { NodeDisk } from '../../src/disk/node-disk.ts'
import { Random } from '../support/random.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-disk-'))
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

describe('bytes that are written again past the cache', () => {
  const size = 3 * MIB + 777
  test.each([
    ['amid the first block', 100, 50],
    ['over the edge of two blocks', 4000, 200],
    ['whole blocks', 4096, 8192],
    ['more than one piece', 5000, 2 * MIB + 5000],
    ['up to the end of the file, amid a block', size - 10_000, 10_000],
    ['all of it', 0, size],
  ])('%s: they, what stands around them, and the size stay as they were', async (name, offset, count) => {
    const path = join(directory, name)
    const content = Buffer.from(new Random(name).bytes(size))
    writeFileSync(path, content)
    const file = await new NodeDisk().open(path, 'write')
    // What stands in the cache alone must not come back as it is on disk.
    const fresh = Buffer.from(new Random(`${name}, fresh`).bytes(count))
    await file.write(fresh, offset)
    fresh.copy(content, offset)
    await file.rewriteDurably(fresh, offset)
    const seen = Buffer.alloc(size)
    expect(await file.read(seen, 0)).toBe(size)
    expect(Buffer.compare(seen, content)).toBe(0)
    await file.close()
    expect(Buffer.compare(readFileSync(path), content)).toBe(0)
  })
})

test('a lock whose owner could not be written is free again', async () => {
  const path = join(directory, 'lock')
  const disk = new NodeDisk()
  const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
  const write = vi.spyOn(fs, 'write')
  write.mockImplementationOnce(((...args: unknown[]) => (args.at(-1) as (error: Error) => void)(full)) as never)
  await expect(disk.lock(path)).rejects.toBe(full)
  const lock = await disk.lock(path)
  await lock.release()
  write.mockRestore()
})
