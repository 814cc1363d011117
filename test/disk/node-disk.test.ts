import { AssertionError } from 'node:assert'
import fs, { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { MIB } from '../../src/core/limits.ts'
import type { DiskFile } from '../../src/disk/disk.ts'
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
    const calls: string[] = []
    for (const call of ['ftruncate', 'fdatasync'] as const) {
      const original = fs[call] as (...args: unknown[]) => void
      vi.spyOn(fs, call).mockImplementation(((...args: unknown[]) => {
        calls.push(call)
        original(...args)
      }) as never)
    }
    await file.rewriteDurably(fresh, offset)
    vi.restoreAllMocks()
    // So does the size, durably: the last block may have made the file longer, and then it was cut.
    expect(calls.lastIndexOf('fdatasync')).toBeGreaterThanOrEqual(calls.lastIndexOf('ftruncate'))
    const seen = Buffer.alloc(size)
    expect(await file.read(seen, 0)).toBe(size)
    expect(Buffer.compare(seen, content)).toBe(0)
    await file.close()
    expect(Buffer.compare(readFileSync(path), content)).toBe(0)
  })
})

describe('a file that can not be made', () => {
  test('leaves nothing, when the second of its descriptors is one too many', async () => {
    const path = join(directory, 'one-too-many')
    const original = fs.open as (...args: unknown[]) => void
    let count = 0
    vi.spyOn(fs, 'open').mockImplementation(((...args: unknown[]) => {
      const done = args.at(-1) as (error: Error) => void
      if (++count === 2) done(Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' }))
      else original(...args)
    }) as never)
    await expect(new NodeDisk().open(path, 'create')).rejects.toMatchObject({ code: 'EMFILE' })
    vi.restoreAllMocks()
    expect(readdirSync(directory)).not.toContain('one-too-many')
    await (await new NodeDisk().open(path, 'create')).close()
  })
})

describe('a directory', () => {
  test('is made with its parents, for nobody but the user, and made again without complaint', async () => {
    const path = join(directory, 'data', 'stores', 'orders')
    const disk = new NodeDisk()
    await disk.makeDirectory(path)
    await disk.makeDirectory(`${path}/`)
    expect(await disk.list(path)).toEqual([])
    expect(statSync(join(directory, 'data')).mode & 0o777).toBe(0o700)
  })

  test('is not made below a file', async () => {
    const path = join(directory, 'a file')
    writeFileSync(path, '')
    await expect(new NodeDisk().makeDirectory(join(path, 'stores', 'orders'))).rejects.toMatchObject({ code: 'ENOTDIR' })
  })

  test('without a name is none', async () => {
    await expect(new NodeDisk().makeDirectory('')).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

test.each([
  'read',
  'readOnce',
  'write',
  'fdatasync',
  'ftruncate',
  'fstat',
] as const)('a file is not closed while a %s is under way: its descriptor may be that of another by then', async name => {
  const file = await new NodeDisk().open(join(directory, `under way, ${name}`), 'create')
  const called = name === 'readOnce' ? 'read' : name
  const original = fs[called] as (...args: unknown[]) => void
  let go = () => {}
  const slow = vi.spyOn(fs, called).mockImplementationOnce(((...args: unknown[]) => {
    go = () => original(...args)
  }) as never)
  const close = vi.spyOn(fs, 'close')
  const calls = {
    read: () => file.read(Buffer.alloc(4), 0),
    readOnce: () => file.readOnce(Buffer.alloc(4), 0),
    write: () => file.write(Buffer.from('bytes'), 0),
    fdatasync: () => file.datasync(),
    ftruncate: () => file.truncate(1),
    fstat: () => file.size(),
  }
  const call = calls[name]()
  const closed = file.close()
  await new Promise(resolve => setImmediate(resolve))
  expect(close).not.toHaveBeenCalled()
  go()
  await call
  await closed
  expect(close).toHaveBeenCalledTimes(2)
  slow.mockRestore()
  close.mockRestore()
})

test('a write to a place that is no whole number is refused: Node would write where the descriptor stands', async () => {
  const file = await new NodeDisk().open(join(directory, 'amid two bytes'), 'create')
  await file.write(Buffer.from('all of it'), 0)
  await expect(file.write(Buffer.from('zeros'), 4.5)).rejects.toThrow(AssertionError)
  await expect(file.writeDurably(Buffer.from('zeros'), 4.5)).rejects.toThrow(AssertionError)
  const content = Buffer.alloc(9)
  await file.read(content, 0)
  expect(content.toString()).toBe('all of it')
  await file.close()
})

test('a read in one call gives what the system gives at once', async () => {
  const file = await new NodeDisk().open(join(directory, 'read once'), 'create')
  await file.write(Buffer.from('all of it'), 0)
  const target = Buffer.alloc(9)
  const original = fs.read as (...args: unknown[]) => void
  const read = vi.spyOn(fs, 'read').mockImplementation(((...args: unknown[]) => {
    args[3] = Math.min(args[3] as number, 4)
    original(...args)
  }) as never)
  expect(await file.readOnce(target, 0)).toBe(4)
  expect(target.toString('latin1', 0, 4)).toBe('all ')
  expect(await file.read(target, 0)).toBe(9)
  read.mockRestore()
  await file.close()
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

describe.runIf(process.platform === 'linux')('files that nobody writes any more', () => {
  const COUNT = 700
  const MOST_OPEN = 512
  let place: string
  let files: DiskFile[]

  const nameOf = (index: number) => join(place, `file-${index}`)
  const descriptorsHere = () =>
    readdirSync('/proc/self/fd').flatMap(fd => {
      try {
        const target = fs.readlinkSync(`/proc/self/fd/${fd}`)
        return target.startsWith(place) ? [target] : []
      } catch {
        return []
      }
    })
  const readNumber = async (file: DiskFile) => {
    const target = Buffer.alloc(4)
    expect(await file.read(target, 0)).toBe(4)
    return target.readUInt32LE()
  }

  beforeAll(async () => {
    place = join(directory, 'resting')
    mkdirSync(place)
    const disk = new NodeDisk()
    files = []
    for (let index = 0; index < COUNT; index++) {
      const file = await disk.open(`${nameOf(index)}.tmp`, 'create')
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32LE(index)
      await file.writeDurably(bytes, 0)
      await disk.rename(`${nameOf(index)}.tmp`, nameOf(index))
      file.rest(nameOf(index))
      files.push(file)
    }
  })
  afterAll(() => Promise.all(files.map(file => file.close())))

  test('have a bounded number of descriptors', async () => {
    // What was closed was told to the system, not awaited.
    await expect.poll(() => descriptorsHere().length).toBeLessThanOrEqual(MOST_OPEN)
  })

  test('are read as if they were open, one by one and all at once', async () => {
    for (const [index, file] of files.entries()) expect(await readNumber(file)).toBe(index)
    expect(await Promise.all(files.map(readNumber))).toEqual(files.map((_, index) => index))
    const twice = files.flatMap(file => [file, file])
    expect(await Promise.all(twice.map(readNumber))).toEqual(twice.map((_, at) => at >> 1))
    expect(await readNumber(files[7]!)).toBe(7)
    await expect.poll(() => descriptorsHere().length).toBeLessThanOrEqual(MOST_OPEN)
  })

  test('are read in one call, too', async () => {
    const target = Buffer.alloc(4)
    for (const [index, file] of files.entries()) {
      expect(await file.readOnce(target, 0)).toBe(4)
      expect(target.readUInt32LE()).toBe(index)
    }
    await expect.poll(() => descriptorsHere().length).toBeLessThanOrEqual(MOST_OPEN)
  })

  test('are read in pieces, too', async () => {
    const target = Buffer.alloc(12)
    const [three, nine] = [files[3]!, files[9]!]
    await new NodeDisk().readPieces([three, three, nine, three], target, [0, 2, 0, 0], [2, 2, 4, 4])
    expect([0, 4, 8].map(at => target.readUInt32LE(at))).toEqual([3, 9, 3])
  })

  test('are not opened again once they were closed for good', async () => {
    const disk = new NodeDisk()
    const path = join(place, 'closed')
    const file = await disk.open(path, 'create')
    await file.writeDurably(Buffer.from('rest'), 0)
    file.rest(path)
    await file.close()
    await expect(file.read(Buffer.alloc(4), 0)).rejects.toThrow('EBADF')
    await expect(file.readOnce(Buffer.alloc(4), 0)).rejects.toThrow('EBADF')
    await expect(file.size()).rejects.toThrow('EBADF')
    const three = files[3]!
    await expect(disk.readPieces([three, file, three], Buffer.alloc(6), [0, 0, 2], [2, 2, 2])).rejects.toThrow('EBADF')
    expect(await readNumber(three)).toBe(3)
  })

  test('have a size', async () => {
    for (const file of files) expect(await file.size()).toBe(4)
  })

  test('stay what they are when their name becomes that of another, if they were to stay open', async () => {
    const file = files[11]!
    await Promise.all(files.filter(other => other !== file).map(readNumber))
    await file.keepOpen()
    writeFileSync(`${nameOf(11)}.new`, Buffer.alloc(4, 255))
    renameSync(`${nameOf(11)}.new`, nameOf(11))
    for (const other of files) if (other !== file) await readNumber(other)
    expect(await readNumber(file)).toBe(11)
  })

  test('say why when they can not be opened again', async () => {
    const gone = files[20]!
    for (const [index, file] of files.entries()) if (index > 20) await readNumber(file)
    renameSync(nameOf(20), `${nameOf(20)}.moved`)
    await expect(readNumber(gone)).rejects.toMatchObject({ code: 'ENOENT' })
    renameSync(`${nameOf(20)}.moved`, nameOf(20))
    expect(await readNumber(gone)).toBe(20)
  })
})
