import { describe, expect, test } from 'vitest'
import type { Disk, DiskFile } from '../../src/disk/disk.ts'
import { powerCut } from './crash-states.ts'
import type { DiskOperation } from './faults.ts'
import { SimulatedDisk } from './simulated-disk.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text))

async function read(disk: Disk, path: string): Promise<string> {
  return contentOf(await disk.open(path, 'read'))
}

async function contentOf(file: DiskFile): Promise<string> {
  const target = Buffer.alloc(await file.size())
  await file.read(target, 0)
  return target.toString()
}

/** A disk with one durable file. */
async function diskWithLog(text: string): Promise<{ disk: SimulatedDisk; file: DiskFile }> {
  const disk = new SimulatedDisk({ content: new Map([['data/log', bytes(text)]]) })
  return { disk, file: await disk.open('data/log', 'write') }
}

describe('after a power cut', () => {
  test('a write that was not synced is gone, and readers had seen it', async () => {
    const { disk, file } = await diskWithLog('old')
    await file.write(bytes('new'), 0)
    expect(await read(disk, 'data/log')).toBe('new')
    expect(await read(powerCut(disk), 'data/log')).toBe('old')
    expect(await read(powerCut(disk, 'all'), 'data/log')).toBe('new')
  })

  test('a write and the growth of the file are there once a datasync returned', async () => {
    const { disk, file } = await diskWithLog('old')
    await file.write(bytes('and new'), 4)
    await file.datasync()
    expect(await read(powerCut(disk), 'data/log')).toBe('old\0and new')
  })

  test('a truncation is there once a datasync returned, not before', async () => {
    const { disk, file } = await diskWithLog('old and long')
    await file.truncate(3)
    expect(await read(powerCut(disk), 'data/log')).toBe('old and long')
    await file.datasync()
    expect(await read(powerCut(disk), 'data/log')).toBe('old')
  })

  test('a durable write is there without a sync, and proves nothing but itself', async () => {
    const { disk, file } = await diskWithLog('------')
    await file.write(bytes('AA'), 0)
    await file.writeDurably(bytes('BB'), 2)
    expect(await read(powerCut(disk), 'data/log')).toBe('--BB--')
  })

  test('a durable write over an earlier one that is not durable stays, whatever becomes of that', async () => {
    const { disk, file } = await diskWithLog('------')
    await file.write(bytes('AAAAAA'), 0)
    await file.writeDurably(bytes('BB'), 2)
    expect(await read(powerCut(disk), 'data/log')).toBe('--BB--')
    expect(await read(powerCut(disk, 'all'), 'data/log')).toBe('AABBAA')
  })

  test('a write that was in flight when the datasync was called is not covered by it', async () => {
    const { disk, file } = await diskWithLog('------')
    const held = disk.hold('write')
    const writing = file.write(bytes('AA'), 0)
    await file.datasync()
    held.release()
    await writing
    expect(await read(powerCut(disk), 'data/log')).toBe('------')
    await file.datasync()
    expect(await read(powerCut(disk), 'data/log')).toBe('AA----')
  })

  test('a new file is there only once its directory was synced, though its bytes were', async () => {
    const { disk } = await diskWithLog('')
    const file = await disk.open('data/new', 'create')
    await file.write(bytes('new'), 0)
    await file.datasync()
    expect(await powerCut(disk).list('data')).toEqual(['log'])
    await disk.syncDirectory('data')
    expect(await read(powerCut(disk), 'data/new')).toBe('new')
  })

  test('a file replaced by a rename is the old one until the directory was synced', async () => {
    const { disk } = await diskWithLog('old')
    const file = await disk.open('data/log.tmp', 'create')
    await file.write(bytes('new'), 0)
    await file.datasync()
    await disk.syncDirectory('data')
    await disk.rename('data/log.tmp', 'data/log')
    expect(await read(powerCut(disk), 'data/log')).toBe('old')
    await disk.syncDirectory('data')
    expect(await read(powerCut(disk), 'data/log')).toBe('new')
    expect(await powerCut(disk).list('data')).toEqual(['log'])
  })

  test('a removed file is back unless the directory was synced', async () => {
    const { disk } = await diskWithLog('old')
    await disk.remove('data/log')
    expect(await read(powerCut(disk), 'data/log')).toBe('old')
    await disk.syncDirectory('data')
    expect(await powerCut(disk, 'all').list('data')).toEqual([])
  })

  test('a directory is there once makeDirectory returned, with its parents', async () => {
    const disk = new SimulatedDisk()
    const held = disk.hold('makeDirectory')
    const making = disk.makeDirectory('a/b')
    expect(await powerCut(disk).list('.')).toEqual([])
    held.release()
    await making
    expect(await powerCut(disk).list('a')).toEqual(['b'])
  })

  test('an open file that lost its name still takes writes', async () => {
    const { disk, file } = await diskWithLog('old')
    await disk.rename('data/log', 'data/moved')
    await file.write(bytes('new'), 0)
    await file.datasync()
    expect(await read(powerCut(disk), 'data/log')).toBe('new')
    expect(await read(powerCut(disk, 'all'), 'data/moved')).toBe('new')
  })
})

describe('after a datasync that failed ("fsyncgate")', () => {
  async function failedSync() {
    const { disk, file } = await diskWithLog('old')
    await file.write(bytes('newer'), 0)
    disk.failNext({ op: 'datasync', error: 'EIO' })
    await expect(file.datasync()).rejects.toMatchObject({ code: 'EIO' })
    return { disk, file }
  }

  test('readers still see the bytes, a new process too', async () => {
    const { disk, file } = await failedSync()
    expect(await contentOf(file)).toBe('newer')
    expect(Buffer.from(disk.snapshot().get('data/log')!).toString()).toBe('newer')
  })

  test('the next datasync succeeds without them', async () => {
    const { disk, file } = await failedSync()
    await file.datasync()
    expect(await read(powerCut(disk), 'data/log')).toBe('old')
    expect(await read(powerCut(disk, 'all'), 'data/log')).toBe('newer')
  })

  test('a reopened file and its datasync do not help', async () => {
    const { disk, file } = await failedSync()
    await file.close()
    await (await disk.open('data/log', 'write')).datasync()
    expect(await read(powerCut(disk), 'data/log')).toBe('old')
  })

  test('writing the same bytes again and a datasync make them durable, the size too', async () => {
    const { disk, file } = await failedSync()
    await file.write(bytes('newer'), 0)
    await file.datasync()
    expect(await read(powerCut(disk), 'data/log')).toBe('newer')
  })

  test('later writes become durable alone', async () => {
    const { disk, file } = await failedSync()
    await file.write(bytes('!'), 1)
    await file.datasync()
    expect(await read(powerCut(disk), 'data/log')).toBe('o!d')
  })

  test('the same holds for a durable write that failed', async () => {
    const { disk, file } = await diskWithLog('old')
    disk.failNext({ op: 'writeDurably', error: 'EIO' })
    await expect(file.writeDurably(bytes('new'), 0)).rejects.toMatchObject({ code: 'EIO' })
    await file.datasync()
    expect(await contentOf(file)).toBe('new')
    expect(await read(powerCut(disk), 'data/log')).toBe('old')
  })

  test('the same holds for names, when the sync of a directory failed', async () => {
    const { disk } = await diskWithLog('old')
    await disk.open('data/new', 'create')
    disk.failNext({ op: 'syncDirectory', error: 'EIO' })
    await expect(disk.syncDirectory('data')).rejects.toMatchObject({ code: 'EIO' })
    await disk.syncDirectory('data')
    expect(await disk.list('data')).toEqual(['log', 'new'])
    expect(await powerCut(disk).list('data')).toEqual(['log'])
  })
})

describe('a planned fault', () => {
  test('fails the n-th matching call once', async () => {
    const { disk, file } = await diskWithLog('')
    const fault = disk.failNext({ op: 'write', path: 'log', nth: 2, error: 'ENOSPC' })
    await file.write(bytes('a'), 0)
    await expect(file.write(bytes('b'), 1)).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'write', path: 'data/log' })
    await file.write(bytes('c'), 1)
    expect(await contentOf(file)).toBe('ac')
    expect(fault.fired).toBe(1)
  })

  test('fails from then on, until it is cleared', async () => {
    const { disk, file } = await diskWithLog('')
    const fault = disk.failNext({ op: 'write', nth: 2, error: 'ENOSPC', times: 'forever' })
    await file.write(bytes('a'), 0)
    for (let turn = 0; turn < 3; turn++) await expect(file.write(bytes('b'), 1)).rejects.toMatchObject({ code: 'ENOSPC' })
    fault.clear()
    await file.write(bytes('c'), 1)
    expect(fault.fired).toBe(3)
  })

  test('leaves calls on other paths alone', async () => {
    const { disk, file } = await diskWithLog('')
    disk.failNext({ path: 'chunk', error: 'EIO', times: 'forever' })
    await file.write(bytes('a'), 0)
    await expect(disk.rename('data/log', 'data/chunk')).rejects.toMatchObject({ code: 'EIO' })
    expect(await disk.list('data')).toEqual(['log'])
  })

  test('can leave the first part of a write in the file', async () => {
    const { disk, file } = await diskWithLog('')
    disk.failNext({ op: 'write', error: 'ENOSPC', partialBytes: 2 })
    await expect(file.write(bytes('abcd'), 0)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(await contentOf(file)).toBe('ab')
    await file.datasync()
    expect(await read(powerCut(disk, 'all'), 'data/log')).toBe('ab')
  })

  test('of every kind of call rejects with its error and changes nothing', async () => {
    const operations: DiskOperation[] = [
      'open',
      'list',
      'makeDirectory',
      'rename',
      'remove',
      'syncDirectory',
      'lock',
      'write',
      'datasync',
      'read',
      'readOnce',
      'size',
      'truncate',
    ]
    for (const op of operations) {
      const { disk, file } = await diskWithLog('old')
      disk.failNext({ op, error: 'EMFILE' })
      const calls: Partial<Record<DiskOperation, () => Promise<unknown>>> = {
        open: () => disk.open('data/new', 'create'),
        list: () => disk.list('data'),
        makeDirectory: () => disk.makeDirectory('new'),
        rename: () => disk.rename('data/log', 'data/new'),
        remove: () => disk.remove('data/log'),
        syncDirectory: () => disk.syncDirectory('data'),
        lock: () => disk.lock('data/LOCK'),
        write: () => file.write(bytes('new'), 0),
        datasync: () => file.datasync(),
        read: () => file.read(Buffer.alloc(1), 0),
        readOnce: () => file.readOnce(Buffer.alloc(1), 0),
        size: () => file.size(),
        truncate: () => file.truncate(0),
      }
      await expect(calls[op]!(), op).rejects.toMatchObject({ code: 'EMFILE' })
      expect(disk.callCount(op), op).toBe(op === 'open' ? 2 : 1)
      expect([...disk.snapshot().keys()], op).toEqual(['data/log'])
      expect(Buffer.from(disk.snapshot().get('data/log')!).toString(), op).toBe('old')
    }
  })

  test('of a close closes all the same', async () => {
    const { disk, file } = await diskWithLog('old')
    disk.failNext({ op: 'close', error: 'EIO' })
    await expect(file.close()).rejects.toMatchObject({ code: 'EIO' })
    await expect(file.size()).rejects.toMatchObject({ code: 'EBADF' })
  })
})

describe('a held call', () => {
  test('stays in flight until it is released, and others overtake it', async () => {
    const { disk, file } = await diskWithLog('old')
    const held = disk.hold('datasync', { path: 'log' })
    let returned = false
    const syncing = file.datasync().then(() => {
      returned = true
    })
    await held.reached
    await file.write(bytes('new'), 0)
    await new Promise(resolve => setImmediate(resolve))
    expect([held.isReached, returned]).toEqual([true, false])
    held.release()
    await syncing
    expect(returned).toBe(true)
  })

  test('of a datasync has proven nothing yet', async () => {
    const { disk, file } = await diskWithLog('old')
    await file.write(bytes('new'), 0)
    const held = disk.hold('datasync')
    const syncing = file.datasync()
    await held.reached
    expect(await read(powerCut(disk), 'data/log')).toBe('old')
    held.release()
    await syncing
    expect(await read(powerCut(disk), 'data/log')).toBe('new')
  })

  test('can fail later', async () => {
    const { disk, file } = await diskWithLog('old')
    await file.write(bytes('new'), 0)
    const held = disk.hold('datasync')
    const syncing = file.datasync()
    held.fail('EIO')
    await expect(syncing).rejects.toMatchObject({ code: 'EIO' })
    await file.datasync()
    expect(await read(powerCut(disk), 'data/log')).toBe('old')
  })

  test('of a write is not seen by readers, but a crash can leave it', async () => {
    const { disk, file } = await diskWithLog('old')
    const held = disk.hold('write')
    const writing = file.write(bytes('new'), 0)
    await held.reached
    expect(await read(disk, 'data/log')).toBe('old')
    expect(await read(powerCut(disk, 'all'), 'data/log')).toBe('new')
    held.release()
    await writing
  })
})

describe('the simulated disk', () => {
  test('notices a buffer that is changed while its write is in flight', async () => {
    const { disk, file } = await diskWithLog('old')
    const held = disk.hold('write')
    const buffer = bytes('new')
    const writing = file.write(buffer, 0)
    await held.reached
    buffer.fill(0)
    held.release()
    await expect(writing).rejects.toThrow('was changed while the write was in flight')
  })

  test('logs data as it was, with marks between', async () => {
    const { disk, file } = await diskWithLog('old')
    const buffer = bytes('new')
    await file.write(buffer, 0)
    disk.mark('acked', 7)
    buffer.fill(0)
    expect(disk.log).toEqual([
      { kind: 'write', inode: 0, offset: 0, bytes: bytes('new') },
      { kind: 'done', begun: 0, ok: true },
      { kind: 'mark', label: 'acked', payload: 7 },
    ])
  })

  test('with shuffle lets calls overtake each other, the same way for the same seed', async () => {
    const orderOf = async (seed: number) => {
      const disk = new SimulatedDisk({ seed, shuffle: true, content: new Map([['log', new Uint8Array(100)]]) })
      const file = await disk.open('log', 'write')
      const order: number[] = []
      const writes = Array.from({ length: 10 }, (_, index) => file.write(bytes('x'), index).then(() => order.push(index)))
      await Promise.all(writes)
      return order.join()
    }
    const orders = [await orderOf(1), await orderOf(2), await orderOf(3)]
    expect(new Set(orders).size).toBe(3)
    expect([await orderOf(1), await orderOf(2), await orderOf(3)]).toEqual(orders)
  })
})
