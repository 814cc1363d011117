import { beforeAll, describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { all, appendEach, DIRECTORY, numbers, openStore, orders, rejectionOf, SMALL_CHUNKS, upTo } from '../store/words.ts'

const path = (number: number) => `${DIRECTORY}/${String(number).padStart(6, '0')}.chunk`
const HINT = `${DIRECTORY}/flushed`

type Files = Map<string, Uint8Array>

/** What a clean close left: a few completed chunks and an active one. Each test spoils a copy. */
let clean: Files
let last: number

beforeAll(async () => {
  const disk = new MemoryDisk()
  const store = await openStore(disk, SMALL_CHUNKS)
  await appendEach(store, 's', orders(180))
  await store.close()
  clean = disk.snapshot()
  last = Math.max(...[...clean.keys()].filter(name => name.endsWith('.chunk')).map(name => Number(name.slice(-12, -6))))
  // Behind the active chunk may stand the next one, empty, made ahead of time.
  if (
    Buffer.from(clean.get(path(last))!)
      .subarray(128)
      .every(byte => byte === 0)
  ) {
    clean.delete(path(last))
    last--
  }
})

function spoiled(change: (files: Files) => void): MemoryDisk {
  const files = new Map(clean)
  change(files)
  return new MemoryDisk(files)
}

/** The second of the completed chunks, with one bit of its records wrong. */
function turned(offset: number, what: 'with index files' | 'without index files'): MemoryDisk {
  return spoiled(files => {
    edit(files, path(1), bytes => {
      bytes[offset]! ^= 4
    })
    if (what === 'without index files') for (const name of [...files.keys()]) if (name.endsWith('.index')) files.delete(name)
  })
}

function edit(files: Files, name: string, change: (bytes: Buffer) => void): void {
  const bytes = Buffer.from(files.get(name)!)
  change(bytes)
  files.set(name, bytes)
}

async function failure(disk: MemoryDisk) {
  const before = disk.snapshot()
  const error = await rejectionOf(openStore(disk, SMALL_CHUNKS))
  const after = disk.snapshot()
  for (const [name, bytes] of before) if (!name.endsWith('lock')) expect(Buffer.compare(after.get(name)!, bytes)).toBe(0)
  // A process that only reads comes to the same verdict.
  expect((await rejectionOf(openStore(disk, { readOnly: true }))).message).toBe(error.message)
  return error
}

describe('a store is refused, and nothing in it is changed,', () => {
  test('when all its chunks are missing, but not the hint (KurrentDB 2)', async () => {
    const error = await failure(
      spoiled(files => {
        for (const name of [...files.keys()]) if (name.endsWith('.chunk')) files.delete(name)
      }),
    )
    expect(error).toMatchObject({ code: 'CORRUPT_LOG', file: path(0), position: 0, found: 'the chunk is missing' })
  })

  test('when the first chunk is missing (KurrentDB 5)', async () => {
    expect(await failure(spoiled(files => files.delete(path(0))))).toMatchObject({ code: 'CORRUPT_LOG', file: path(0) })
  })

  test('when a chunk in the middle is missing (KurrentDB 5)', async () => {
    const error = await failure(spoiled(files => files.delete(path(1))))
    expect(error).toMatchObject({ code: 'CORRUPT_LOG', file: path(1), position: 4096, found: 'the chunk is missing' })
  })

  test('when the last chunk is missing, and the hint knows of it (KurrentDB 2)', async () => {
    const error = await failure(spoiled(files => files.delete(path(last))))
    expect(error).toMatchObject({ code: 'CORRUPT_LOG', file: path(last), found: 'the chunk is missing' })
  })

  test('when an earlier chunk is shorter than header and footer (KurrentDB 3)', async () => {
    for (const size of [0, 100, 128, 150]) {
      const error = await failure(spoiled(files => files.set(path(1), clean.get(path(1))!.slice(0, size))))
      expect(error).toMatchObject({ code: 'CORRUPT_LOG', file: path(1), position: 4096 })
    }
  })

  test('when an earlier chunk is not completed (KurrentDB 4)', async () => {
    const error = await failure(spoiled(files => edit(files, path(1), bytes => bytes.fill(0, bytes.length - 64))))
    expect(error).toMatchObject({ code: 'CORRUPT_LOG', file: path(1), found: expect.stringContaining('footer') })
  })

  test('when a chunk says that it is another (KurrentDB 5)', async () => {
    const error = await failure(spoiled(files => files.set(path(1), clean.get(path(0))!)))
    expect(error).toMatchObject({ code: 'CORRUPT_LOG', file: path(1), found: expect.stringContaining('number 0') })
  })

  test('when a chunk is of another store (KurrentDB 11)', async () => {
    const other = new MemoryDisk()
    const store = await openStore(other, SMALL_CHUNKS)
    await appendEach(store, 's', orders(180))
    await store.close()
    const error = await failure(spoiled(files => files.set(path(1), other.snapshot().get(path(1))!)))
    expect(error).toMatchObject({ code: 'CORRUPT_LOG', file: path(1), found: 'a chunk of another store' })
  })

  test('when a header is of a newer version (KurrentDB 11)', async () => {
    for (const number of [0, 1, last]) {
      const error = await failure(spoiled(files => edit(files, path(number), bytes => bytes.writeUInt16LE(2, 8))))
      expect(error).toMatchObject({ code: 'UNSUPPORTED_FORMAT', message: expect.stringContaining(path(number)) })
    }
  })

  test('when the only file is empty or no chunk at all (KurrentDB 11)', async () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(4096), Buffer.alloc(4096, 'x')]) {
      expect(await failure(new MemoryDisk(new Map([[path(0), bytes]])))).toMatchObject({ code: 'CORRUPT_LOG', file: path(0) })
    }
  })

  test('when a bit of a completed chunk has turned, and its index has to be made from it (KurrentDB 10)', async () => {
    for (const offset of [200, 1000, 3000]) {
      const error = await rejectionOf(openStore(turned(offset, 'without index files')))
      expect(error).toMatchObject({ code: 'CORRUPT_LOG', file: path(1), position: 4096 })
    }
  })

  test('when a bit of the active chunk has turned in a record that was proven durable', async () => {
    for (const hint of ['with the hint', 'without the hint']) {
      const disk = spoiled(files => {
        edit(files, path(last), bytes => {
          bytes[140]! ^= 4
        })
        if (hint === 'without the hint') files.delete(HINT)
      })
      const error = await failure(disk)
      expect(error, hint).toMatchObject({ code: 'CORRUPT_LOG', file: path(last), position: last * 4096 + 128 })
    }
  })
})

describe('a store is opened', () => {
  test('when a bit of a completed chunk has turned: who reads there is told, and gets no wrong byte (KurrentDB 10)', async () => {
    for (const offset of [200, 1000, 3000]) {
      const store = await openStore(turned(offset, 'with index files'))
      const error = await rejectionOf(numbers(store.readAll()))
      expect(error).toMatchObject({ code: 'CORRUPT_LOG', file: path(1), position: 4096 })
      await store.close()
    }
  })

  test('when the hint is missing, old, garbled, or of another store', async () => {
    for (const hint of [
      null,
      Buffer.alloc(0),
      Buffer.alloc(64),
      Buffer.alloc(64, 'x'),
      Buffer.from(clean.get(HINT)!).fill(0, 60),
    ]) {
      const store = await openStore(
        spoiled(files => (hint === null ? files.delete(HINT) : files.set(HINT, hint))),
        SMALL_CHUNKS,
      )
      expect(store.recovery).toMatchObject({ truncatedBytes: 0, events: 180 })
      await store.close()
    }
  })

  test('when the last chunk is complete and the next was not made yet: it is made now (KurrentDB 6)', async () => {
    const disk = spoiled(files => {
      // Nothing but the chunk itself knows that it was not the last: a crash in the middle of the roll-over.
      for (const name of [...files.keys()])
        if ((name > path(1) || name.endsWith('.index')) && !name.endsWith('/lock')) files.delete(name)
    })
    const store = await openStore(disk, SMALL_CHUNKS)
    const found = store.recovery.events
    expect((await store.append('s', orders(1))).firstRevision).toBe(found)
    expect(store.lastPosition).toBe(2 * 4096 + 128)
    await store.close()
  })

  test('when an empty chunk was made ahead of time: it is used when its turn comes (KurrentDB 7)', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk, SMALL_CHUNKS)
    await appendEach(first, 's', orders(42))
    await first.close()
    expect(disk.snapshot().has(path(1))).toBe(true)
    const store = await openStore(disk, SMALL_CHUNKS)
    await appendEach(store, 's', orders(100, 42))
    expect(await numbers(store.readStream('s'))).toEqual(upTo(142))
    await store.close()
  })

  test('when data stands behind the end: it is not seen, and gone for good (KurrentDB 12)', async () => {
    const disk = spoiled(files => {
      edit(files, path(last), bytes => {
        let end = bytes.length
        while (bytes[end - 1] === 0) end--
        bytes.fill(0xab, end + 100, end + 300)
      })
    })
    const store = await openStore(disk, SMALL_CHUNKS)
    expect(store.recovery.truncatedBytes).toBeGreaterThan(0)
    expect(await all(store.readStream('s'))).toHaveLength(180)
    await store.close()
    expect(Buffer.from(disk.snapshot().get(path(last))!).includes(Buffer.alloc(8, 0xab))).toBe(false)
    const again = await openStore(disk, SMALL_CHUNKS)
    expect(again.recovery).toMatchObject({ clean: true, events: 180 })
    await again.close()
  })

  test('twice, with nothing to do the second time', async () => {
    const disk = spoiled(files => edit(files, path(last), bytes => bytes.fill(0xab, 4000, 4010)))
    await (await openStore(disk, SMALL_CHUNKS)).close()
    const before = disk.snapshot()
    const store = await openStore(disk, SMALL_CHUNKS)
    expect(store.recovery).toMatchObject({ clean: true, truncatedBytes: 0 })
    await store.close()
    for (const [name, bytes] of before) expect(Buffer.compare(disk.snapshot().get(name)!, bytes), name).toBe(0)
  })
})
