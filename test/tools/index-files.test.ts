import { copyFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { describe, expect, test } from 'vitest'
import { ByteWindow } from '#engine/format/byte-window.ts'
import { checksumBytes } from '#engine/format/checksum.ts'
import { inlineOffsetOf, readIndexHeader } from '#engine/format/index-layout.ts'
import { INDEX_PAGE_SIZE, pageSeed, sealPage, slotOffsetAt } from '#engine/format/index-pages.ts'
import type { IndexItem } from '../../tools/inspection-items.ts'
import type { VerificationReport } from '../../tools/survey/store-verification.ts'
import { Random } from '../support/random.ts'
import { chunkPath, edit, event, flipBit, run, runJson, storeWith, temporaryDirectory } from './scenes.ts'

async function verify(directory: string): Promise<VerificationReport & { readonly status: number }> {
  const { status, values } = await runJson<VerificationReport>(['verify', directory])
  return { status, ...values[0]! }
}

function indexNames(directory: string): string[] {
  return readdirSync(directory).filter(name => name.endsWith('.index'))
}

/** What verify says of each index file. */
function states(report: VerificationReport): Record<string, string> {
  return Object.fromEntries(report.indexFiles.map(({ file, state }) => [file, state]))
}

/** Changes a page of an index file and seals it again, as a wrong program would have written it. */
function forge(
  path: string,
  pageOf: (header: NonNullable<ReturnType<typeof readIndexHeader>>) => number,
  change: (page: ByteWindow) => void,
): void {
  edit(path, bytes => {
    const head = ByteWindow.allocate(INDEX_PAGE_SIZE)
    bytes.copy(head.bytes, 0, 0)
    const header = readIndexHeader(head)!
    const number = pageOf(header)
    const page = ByteWindow.allocate(INDEX_PAGE_SIZE)
    bytes.copy(page.bytes, 0, number * INDEX_PAGE_SIZE)
    change(page)
    sealPage(page, number, number === 0 ? checksumBytes(header.storeId) : pageSeed(header.storeId, header))
    page.bytes.copy(bytes, number * INDEX_PAGE_SIZE)
    return undefined
  })
}

function uuidFrom(random: Random): string {
  const hex = Buffer.from(random.bytes(16)).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
}

/** Many streams, supplied ids, appends over several streams, deletions, retention, over several openings. */
async function lively(directory: string, random: Random): Promise<EventStore> {
  for (let opening = 0; ; opening++) {
    const store = await EventStore.open(directory, { chunkSizeBytes: 8192 })
    for (let i = 0; i < 150; i++) {
      const stream = () => `stream-${random.int(120)}`
      const events = Array.from({ length: 1 + random.int(3) }, () => ({
        type: `Type${random.int(9)}`,
        data: { i },
        ...(random.int(2) === 0 ? {} : { id: uuidFrom(random) }),
      }))
      const kind = random.int(10)
      if (kind < 7) await store.append(stream(), events)
      else if (kind === 7) await store.commit([...new Set([stream(), stream()])].map(name => ({ stream: name, events })))
      else if (kind === 8) await store.setMetadata(stream(), { maxCount: 1 + random.int(3) })
      else await store.delete(stream())
    }
    if (opening === 2) return store
    await store.close()
  }
}

describe('verify of index files', () => {
  test('says that they say what the log says', async () => {
    const directory = await storeWith(200)
    const report = await verify(directory)
    expect(report.indexFiles.length).toBeGreaterThan(1)
    expect(new Set(Object.values(states(report)))).toEqual(new Set(['whole']))
    expect(report.indexFiles.reduce((sum, { eventCount }) => sum + eventCount!, 0)).toBe(200)
    const { stdout } = await run(['verify', directory])
    expect(stdout).toContain(`${report.indexFiles.length} index files: whole, and as the log says\n`)
  })

  test.each([1, 2, 3])('says so of any log, before a scavenge and behind it (seed %i)', async seed => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await lively(directory, new Random(`index files ${seed}`))
    await store.close()
    const written = await verify(directory)
    expect([written.status, new Set(Object.values(states(written)))]).toEqual([0, new Set(['whole'])])
    await run(['scavenge', directory])
    const scavenged = await verify(directory)
    expect([scavenged.status, new Set(Object.values(states(scavenged)))]).toEqual([0, new Set(['whole'])])
    expect(scavenged.eventCount).toBeLessThan(written.eventCount)
  })

  test('says so of a store that went on when it was scavenged', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory, { chunkSizeBytes: 8192 })
    for (let i = 0; i < 20; i++) await store.append(`s-${i % 5}`, event(i))
    await store.setMetadata('s-1', { maxCount: 1 })
    await store.scavenge()
    for (let i = 0; i < 300; i++) await store.append(`s-${i % 5}`, event(i))
    await store.close()
    expect(new Set(Object.values(states(await verify(directory))))).toEqual(new Set(['whole']))
  })

  test('with a flipped bit in any page names the page, and calls the log whole', async () => {
    const directory = await storeWith(200)
    const name = indexNames(directory)[0]!
    const path = join(directory, name)
    for (let page = 0; page * INDEX_PAGE_SIZE < statSync(path).size; page++) {
      flipBit(path, page * INDEX_PAGE_SIZE + 40)
      const report = await verify(directory)
      expect(report).toMatchObject({ status: 0, damageCount: 0 })
      expect(states(report)[name]).toBe('damaged')
      expect(report.indexFiles.find(({ file }) => file === name)!.what).toContain(`page ${page}`)
      flipBit(path, page * INDEX_PAGE_SIZE + 40)
    }
    expect(states(await verify(directory))[name]).toBe('whole')
  })

  test('that are damaged, cut off or empty finds them whole once the store was opened and read', async () => {
    const directory = await storeWith(200)
    const [first, ...others] = indexNames(directory)
    flipBit(join(directory, first!), INDEX_PAGE_SIZE + 40)
    for (const name of others) truncateSync(join(directory, name), name.includes('partial') ? 0 : INDEX_PAGE_SIZE)
    expect(new Set(Object.values(states(await verify(directory))))).toEqual(new Set(['damaged']))
    const store = await EventStore.open(directory)
    for (const i of [0, 1, 2]) for await (const _ of store.readStream(`order-${i}`));
    await store.append('order-0', event(1))
    await store.close()
    const report = await verify(directory)
    expect([report.status, new Set(Object.values(states(report)))]).toEqual([0, new Set(['whole'])])
  })

  test.each<[string, Parameters<typeof forge>[1], (page: ByteWindow) => void, RegExp]>([
    [
      "a position that is not the event's",
      header => header.firstStreamPage,
      ({ view }) => view.setUint8(inlineOffsetOf(view, slotOffsetAt(view, 0)), 1),
      /other events, revisions or positions/,
    ],
    [
      'another name of a stream',
      header => header.firstStreamPage,
      ({ bytes, view }) => bytes.write('x', slotOffsetAt(view, 0) + 10),
      /it has a stream 'xrder-\d', the log does not/,
    ],
    [
      'a type that came later than it says',
      header => header.firstTypePage,
      ({ bytes, view }) => {
        const offset = slotOffsetAt(view, 0)
        bytes[offset + 1 + bytes[offset]!]! ^= 1
      },
      /the last event of a type is not where it says/,
    ],
  ])('that hold %s ends with 3', async (_what, pageOf, change, what) => {
    const directory = await storeWith(30)
    const name = indexNames(directory)[0]!
    forge(join(directory, name), pageOf, change)
    const report = await verify(directory)
    expect(report).toMatchObject({ status: 3, damageCount: 0 })
    expect(states(report)[name]).toBe('contradicts the log')
    expect(report.indexFiles.find(({ file }) => file === name)!.what).toMatch(what)
    const { stdout } = await run(['verify', directory])
    expect(stdout).toMatch(new RegExp(`index file ${name}: contradicts the log: .*; remove it while no process`))
    rmSync(join(directory, name))
    expect((await verify(directory)).status).toBe(0)
  })

  test('that hold another supplied id than the log ends with 3', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory)
    await store.append('s', { type: 'T', data: 1, id: crypto.randomUUID() })
    await store.close()
    const path = join(directory, indexNames(directory)[0]!)
    forge(
      path,
      header => header.firstIdPage,
      ({ bytes }) => bytes.write('?', 3),
    )
    expect(await verify(directory)).toMatchObject({
      status: 3,
      indexFiles: [{ what: expect.stringContaining('other supplied ids than the log') }],
    })
  })

  test("in which a stream can't be found ends with 3", async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory)
    for (let i = 0; i < 200; i++) await store.append(`s-${i}`, event(i))
    await store.close()
    const path = join(directory, indexNames(directory)[0]!)
    // The filter says that there is nothing.
    forge(
      path,
      () => 1,
      ({ bytes }) => bytes.fill(0, 0, INDEX_PAGE_SIZE - 4),
    )
    expect(await verify(directory)).toMatchObject({
      status: 3,
      indexFiles: [{ what: expect.stringMatching(/its stream 's-\d+' can't be found in it/) }],
    })
  })

  test('of before a scavenge calls them stale', async () => {
    const directory = await storeWith(200)
    const store = await EventStore.open(directory)
    await store.setMetadata('order-0', { maxCount: 1 })
    await store.close()
    const name = indexNames(directory)[0]!
    const old = join(temporaryDirectory(), name)
    copyFileSync(join(directory, name), old)
    await run(['scavenge', directory])
    copyFileSync(old, join(directory, name))
    const report = await verify(directory)
    expect([report.status, states(report)[name]]).toEqual([0, 'stale'])
  })

  test('of before a merge calls them superseded', async () => {
    const directory = join(temporaryDirectory(), 'store')
    await storeWith(50, directory)
    const kept = temporaryDirectory()
    const name = '000000-000000.index'
    copyFileSync(join(directory, name), join(kept, name))
    await storeWith(50, directory)
    expect(indexNames(directory)).not.toContain(name)
    copyFileSync(join(kept, name), join(directory, name))
    const report = await verify(directory)
    expect([report.status, states(report)[name]]).toEqual([0, 'superseded'])
  })

  test('of another store, and unfinished ones, says what they are', async () => {
    const directory = await storeWith(30)
    const name = indexNames(directory)[0]!
    copyFileSync(join(await storeWith(30), name), join(directory, name))
    writeFileSync(join(directory, '000007-000007.index.tmp'), '')
    const report = await verify(directory)
    expect(report).toMatchObject({
      status: 0,
      indexFiles: [{ state: 'damaged', what: expect.stringContaining('another store') }],
    })
    expect(report.notes).toEqual([expect.stringContaining('000007-000007.index.tmp: an index file in the making')])
  })

  test('does not hold damage of the log against them', async () => {
    const directory = await storeWith(200)
    flipBit(chunkPath(directory, 1), 300)
    const report = await verify(directory)
    expect(report.status).toBe(1)
    const { indexFiles } = report
    for (const { state, firstChunk, lastChunk } of indexFiles) {
      expect(state).toBe(firstChunk! <= 1 && lastChunk! >= 1 ? 'not compared' : 'whole')
    }
    expect(indexFiles.length).toBeGreaterThan(1)
  })

  test('that know more than the log has is damage of the log', async () => {
    const directory = await storeWith(20)
    rmSync(join(directory, 'flushed'))
    const { end } = await verify(directory)
    edit(chunkPath(directory, 0), bytes => bytes.fill(0, end - 200))
    const report = await verify(directory)
    expect(report.status).toBe(1)
    expect(report.damages.map(({ file, what }) => `${file}: ${what}`)).toEqual([
      `000000-partial.index: an index knows the log up to ${end}, but the log ends here`,
    ])
  })

  test('that are not there says nothing of them', async () => {
    const directory = await storeWith(200)
    for (const name of indexNames(directory)) rmSync(join(directory, name))
    expect(await verify(directory)).toMatchObject({ status: 0, indexFiles: [], notes: [] })
  })

  test('of a store that merges and scavenges meanwhile never finds one that is wrong', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await lively(directory, new Random('merging'))
    let isDone = false
    const work = (async () => {
      for (let i = 0; !isDone; i++) {
        await Promise.all(Array.from({ length: 20 }, (_, k) => store.append(`more-${(i + k) % 30}`, event(k))))
        if (i % 40 === 39) await store.scavenge()
      }
    })()
    try {
      for (let round = 0; round < 8; round++) {
        const { damages, indexFiles } = await verify(directory)
        expect(damages).toEqual([])
        expect(indexFiles.filter(({ state }) => state === 'contradicts the log' || state === 'damaged')).toEqual([])
      }
    } finally {
      isDone = true
      await work
      await store.close()
    }
  })
})

describe('inspect of index files', () => {
  async function inspected(path: string): Promise<{ status: number; items: IndexItem[] }> {
    const { status, values } = await runJson<IndexItem>(['inspect', path, '--limit', '1'])
    return { status, items: values.filter(({ kind }) => kind === 'index') }
  }

  test('shows what each covers and holds, behind the chunks', async () => {
    const directory = await storeWith(200)
    const { status, items } = await inspected(directory)
    expect([status, items.map(({ file }) => file)]).toEqual([0, indexNames(directory)])
    expect(items[0]).toMatchObject({
      pages: 'ok',
      firstChunk: 0,
      isPartial: false,
      start: 0,
      streamCount: 3,
      typeCount: 2,
      idCount: 0,
    })
    expect(items.at(-1)).toMatchObject({ pages: 'ok', isPartial: true })
    const { stdout } = await run(['inspect', directory])
    expect(stdout).toMatch(
      /000000-\d+\.index: \d+ bytes, an index of the log\n {2}covers {2}chunks 0 to \d+ of store [0-9a-f]{32}, positions 0 to \d+\n/,
    )
    expect(stdout).toMatch(/ {2}holds {3}\d+ events in 3 streams, 2 event types, 0 supplied ids\n {2}pages {3}ok: \d+ pages\n/)
  })

  test('shows which page is damaged, and calls the store whole', async () => {
    const directory = await storeWith(200)
    const name = indexNames(directory)[0]!
    flipBit(join(directory, name), INDEX_PAGE_SIZE + 5)
    const { status, items } = await inspected(directory)
    expect([status, items[0]!.pages]).toEqual([0, expect.stringMatching(/^page 1 of \d+ has a wrong checksum$/)])
    flipBit(join(directory, name), 5)
    expect((await inspected(directory)).items[0]).toMatchObject({ pages: expect.stringContaining('page 0'), firstChunk: null })
  })

  test('shows one by itself', async () => {
    const directory = await storeWith(200)
    const name = indexNames(directory)[0]!
    const alone = join(temporaryDirectory(), name)
    copyFileSync(join(directory, name), alone)
    expect(await inspected(alone)).toMatchObject({ status: 0, items: [{ file: name, pages: 'ok' }] })
    truncateSync(alone, 100)
    expect(await inspected(alone)).toMatchObject({ status: 1, items: [{ pages: 'it is shorter than its header' }] })
  })
})
