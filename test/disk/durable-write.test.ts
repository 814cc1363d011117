import fs, { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { DiskFile } from '../../src/disk/disk.ts'
import { Random } from '../support/random.ts'

const { O_DSYNC } = fs.constants
const BYTES = new Random('durable').bytes(5000)

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-durable-'))
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})
afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
  vi.resetModules()
})

/** A new file, and what is asked of the system for it from then on. */
async function fileOn(platform: string, name: string): Promise<{ file: DiskFile; calls: string[]; path: string }> {
  vi.stubGlobal('process', Object.create(process, { platform: { value: platform } }))
  vi.resetModules()
  const { NodeDisk } = await import('../../src/disk/node-disk.ts')
  const calls: string[] = []
  for (const call of ['write', 'fdatasync', 'open'] as const) {
    const original = fs[call] as (...args: unknown[]) => void
    vi.spyOn(fs, call).mockImplementation(((...args: unknown[]) => {
      calls.push(call !== 'open' ? call : (args[1] as number) & O_DSYNC ? 'open O_DSYNC' : 'open')
      original(...args)
    }) as never)
  }
  const path = join(directory, `${name} ${platform}`)
  return { file: await new NodeDisk().open(path, 'create'), calls, path }
}

describe('a durable write', () => {
  test('is one call where O_DSYNC empties the cache of the drive', async () => {
    const { file, calls, path } = await fileOn('linux', 'write')
    await file.writeDurably(BYTES, 0)
    expect(calls).toEqual(['open', 'open O_DSYNC', 'write'])
    await file.close()
    expect(readFileSync(path)).toEqual(Buffer.from(BYTES))
  })

  test('is followed by a sync where only that does', async () => {
    const { file, calls, path } = await fileOn('darwin', 'write')
    await file.writeDurably(BYTES, 0)
    expect(calls).toEqual(['open', 'open', 'write', 'fdatasync'])
    await file.close()
    expect(readFileSync(path)).toEqual(Buffer.from(BYTES))
  })

  test.each(['EIO', 'ENOSPC', 'EDQUOT'])('whose sync fails with %s is an EIO: what was taken may be gone', async code => {
    const { file } = await fileOn('darwin', code)
    vi.spyOn(fs, 'fdatasync').mockImplementation((_, done) => done(Object.assign(new Error(`${code}: fdatasync`), { code })))
    await expect(file.writeDurably(BYTES, 0)).rejects.toMatchObject({ code: 'EIO' })
    await file.close()
  })

  test('that is refused for a full disk says so', async () => {
    const { file } = await fileOn('darwin', 'full')
    vi.spyOn(fs, 'write').mockImplementation(((...args: unknown[]) => {
      const done = args.at(-1) as (error: Error) => void
      done(Object.assign(new Error('ENOSPC: write'), { code: 'ENOSPC' }))
    }) as never)
    await expect(file.writeDurably(BYTES, 0)).rejects.toMatchObject({ code: 'ENOSPC' })
    await file.close()
  })
})
