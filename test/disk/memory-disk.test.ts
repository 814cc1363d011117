import { AssertionError } from 'node:assert'
import { describe, expect, test } from 'vitest'
import { StoreLockedError } from '../../src/core/errors.ts'
import type { DiskFile } from '../../src/disk/disk.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text))

async function diskWith(files: Record<string, string>): Promise<MemoryDisk> {
  return new MemoryDisk(new Map(Object.entries(files).map(([path, text]) => [path, bytes(text)])))
}

async function contentOf(file: DiskFile): Promise<string> {
  const target = Buffer.alloc(await file.size())
  await file.read(target, 0)
  return target.toString()
}

describe('a file in memory', () => {
  test('shows what was written to it', async () => {
    const disk = new MemoryDisk()
    const file = await disk.open('log', 'create')
    await file.write(bytes('hello world'), 0)
    await file.write(bytes('there'), 6)
    await file.datasync()
    expect(await contentOf(file)).toBe('hello there')
  })

  test('written past its end has zeros in the gap', async () => {
    const file = await new MemoryDisk().open('log', 'create')
    await file.write(bytes('end'), 3)
    expect(await contentOf(file)).toBe('\0\0\0end')
  })

  test('refuses places and sizes that are no whole numbers, like a real one', async () => {
    const file = await new MemoryDisk().open('log', 'create')
    await expect(file.write(bytes('zeros'), 4.5)).rejects.toThrow(AssertionError)
    await expect(file.read(Buffer.alloc(1), 4.5)).rejects.toThrow(AssertionError)
    await expect(file.truncate(4.5)).rejects.toThrow(AssertionError)
    expect(await file.size()).toBe(0)
  })

  test('read past its end gives what there is', async () => {
    const file = await (await diskWith({ log: 'hello' })).open('log', 'read')
    const target = Buffer.alloc(10, '-')
    expect(await file.read(target, 3)).toBe(2)
    expect(target.toString()).toBe('lo--------')
    expect(await file.read(target, 9)).toBe(0)
  })

  test('cut and extended again shows zeros, not what was there', async () => {
    for (const size of [1, 8]) {
      const file = await new MemoryDisk().open('log', 'create')
      await file.write(bytes('0123456789'), 0)
      await file.truncate(size)
      await file.truncate(10)
      expect(await contentOf(file)).toBe('0123456789'.slice(0, size) + '\0'.repeat(10 - size))
      await file.write(bytes('x'), 9)
      expect(await contentOf(file)).toBe(`${'0123456789'.slice(0, size)}${'\0'.repeat(9 - size)}x`)
    }
  })

  test('extended to a gigabyte takes no gigabyte', async () => {
    const before = process.memoryUsage().arrayBuffers
    const file = await new MemoryDisk().open('log', 'create')
    await file.truncate(2 ** 30)
    expect(await file.read(Buffer.alloc(100, 1), 2 ** 29)).toBe(100)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20)
  })

  test('takes no reference to the buffer that was written', async () => {
    const file = await new MemoryDisk().open('log', 'create')
    const buffer = bytes('mine')
    await file.write(buffer, 0)
    buffer.fill(0)
    expect(await contentOf(file)).toBe('mine')
  })

  test('a durable write may make the file longer', async () => {
    const file = await (await diskWith({ log: 'hello' })).open('log', 'write')
    await file.writeDurably(bytes('HE'), 0)
    await file.writeDurably(bytes('O!'), 4)
    expect(await contentOf(file)).toBe('HEllO!')
  })

  test('open for reading refuses writes', async () => {
    const file = await (await diskWith({ log: 'hello' })).open('log', 'read')
    await expect(file.write(bytes('x'), 0)).rejects.toMatchObject({ code: 'EBADF' })
    await expect(file.truncate(0)).rejects.toMatchObject({ code: 'EBADF' })
  })

  test('that was closed refuses everything, except to be closed again', async () => {
    const file = await (await diskWith({ log: 'hello' })).open('log', 'write')
    await file.close()
    await file.close()
    await expect(file.read(Buffer.alloc(1), 0)).rejects.toMatchObject({ code: 'EBADF' })
    await expect(file.datasync()).rejects.toMatchObject({ code: 'EBADF' })
  })

  test('that is open works on after its name was renamed over or removed', async () => {
    const disk = await diskWith({ old: 'old', new: 'new' })
    const replaced = await disk.open('old', 'read')
    await disk.rename('new', 'old')
    expect(await contentOf(replaced)).toBe('old')
    expect(await contentOf(await disk.open('old', 'read'))).toBe('new')
    await disk.remove('old')
    expect(await contentOf(replaced)).toBe('old')
    expect(await disk.list('.')).toEqual([])
  })
})

describe('names in memory', () => {
  test('are listed sorted, files and directories, without those further down', async () => {
    const disk = await diskWith({ '/data/b': '', '/data/sub/deep': '', '/data/a': '', '/other': '' })
    expect(await disk.list('/data')).toEqual(['a', 'b', 'sub'])
    expect(await disk.list('/data/')).toEqual(['a', 'b', 'sub'])
    expect(await disk.list('/')).toEqual(['data', 'other'])
  })

  test('of directories are made with their parents, and made again without complaint', async () => {
    const disk = new MemoryDisk()
    await disk.makeDirectory('a/b/c')
    await disk.makeDirectory('a/b/c/')
    expect(await disk.list('a/b')).toEqual(['c'])
    expect(await disk.list('a/b/c')).toEqual([])
  })

  test('that are missing, taken or of the wrong kind give the errno of the system', async () => {
    const disk = await diskWith({ 'data/log': '' })
    const failing: [string, Promise<unknown>][] = [
      ['ENOENT', disk.open('data/none', 'read')],
      ['ENOENT', disk.open('data/none', 'write')],
      ['ENOENT', disk.open('none/log', 'create')],
      ['EEXIST', disk.open('data/log', 'create')],
      ['EISDIR', disk.open('data', 'read')],
      ['ENOENT', disk.list('none')],
      ['ENOTDIR', disk.list('data/log')],
      ['EEXIST', disk.makeDirectory('data/log')],
      ['ENOENT', disk.rename('data/none', 'data/log')],
      ['ENOENT', disk.rename('data/log', 'none/log')],
      ['ENOENT', disk.remove('data/none')],
      ['ENOENT', disk.syncDirectory('none')],
    ]
    for (const [code, failure] of failing) await expect(failure).rejects.toMatchObject({ code })
  })
})

describe('a lock in memory', () => {
  test('excludes a second, in the same process too, and leaves its file when released', async () => {
    const disk = await diskWith({ 'data/log': '' })
    const lock = await disk.lock('data/LOCK')
    const refusal = disk.lock('data/LOCK')
    await expect(refusal).rejects.toBeInstanceOf(StoreLockedError)
    await expect(refusal).rejects.toMatchObject({ pid: process.pid })
    await lock.release()
    expect(await disk.list('data')).toEqual(['LOCK', 'log'])
    await disk.lock('data/LOCK')
  })

  test('released twice does not free the lock of the next owner', async () => {
    const disk = new MemoryDisk()
    const first = await disk.lock('LOCK')
    await first.release()
    await disk.lock('LOCK')
    await first.release()
    await expect(disk.lock('LOCK')).rejects.toBeInstanceOf(StoreLockedError)
  })
})

describe('a snapshot', () => {
  test('stays as it was when the disk goes on', async () => {
    const disk = await diskWith({ 'data/log': 'hello' })
    const file = await disk.open('data/log', 'write')
    const snapshot = disk.snapshot()
    await file.write(bytes('J'), 0)
    await file.truncate(3)
    expect(Buffer.from(snapshot.get('data/log')!).toString()).toBe('hello')
    expect(await contentOf(file)).toBe('Jel')
  })

  test('makes another disk with the same content, empty directories too, that changes alone', async () => {
    const disk = await diskWith({ 'data/log': 'hello' })
    await disk.makeDirectory('data/empty')
    const twin = new MemoryDisk(disk.snapshot())
    expect(await twin.list('data')).toEqual(['empty', 'log'])
    const file = await twin.open('data/log', 'write')
    await file.write(bytes('JELLO!'), 0)
    expect(await contentOf(await disk.open('data/log', 'read'))).toBe('hello')
    expect(await contentOf(file)).toBe('JELLO!')
  })
})
