import fs, { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { NodeDisk } from '../../src/disk/node-disk.ts'

const directory = mkdtempSync(join(tmpdir(), 'tailrace-node-disk-'))
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(directory, { recursive: true, force: true })
})

test('a lock whose owner could not be written is free again', async () => {
  const path = join(directory, 'lock')
  const disk = new NodeDisk()
  const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
  vi.spyOn(fs, 'write').mockImplementationOnce(((...args: unknown[]) => (args.at(-1) as (error: Error) => void)(full)) as never)
  await expect(disk.lock(path)).rejects.toBe(full)
  const lock = await disk.lock(path)
  await lock.release()
})
