import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { describe, expect, test } from 'vitest'
import { StoreProcess } from '../support/processes.ts'
import {
  chunkPath,
  contentOf,
  event,
  eventsOf,
  flipBit,
  run,
  runJson,
  storeWith,
  tearTail,
  temporaryDirectory,
} from './scenes.ts'

interface Result {
  readonly chunks: number
  readonly bytes: number
  readonly position: number
  readonly holderPid: number | null
}

async function backedUp(directory: string): Promise<Result & { readonly copy: string }> {
  const copy = join(temporaryDirectory(), 'copy')
  const { status, values } = await runJson<Result>(['backup', directory, copy])
  expect(status).toBe(0)
  return { ...values[0]!, copy }
}

/** A process that appends to stream `s` until it is killed, and says how much was acknowledged. */
async function writerOf(directory: string, beside = ''): Promise<StoreProcess> {
  const writer = new StoreProcess(`const store = await EventStore.open('${directory}', { chunkSizeBytes: 4096 })
    let acked = 0
    const note = () => { if (++acked % 100 === 0) say('acked', acked) }
    ${beside}
    for (let i = 0; ; i++) await store.append('s', { type: 'T', data: i }).then(note)`)
  await writer.said('acked 100')
  return writer
}

async function countIn(directory: string, stream: string): Promise<number> {
  const store = await EventStore.open(directory)
  try {
    return ((await store.head(stream)) ?? -1) + 1
  } finally {
    await store.close()
  }
}

describe('backup', () => {
  test('has every event, at its position, and leaves the store as it was', async () => {
    const directory = await storeWith(200)
    const before = contentOf(directory)
    const { copy, chunks, holderPid } = await backedUp(directory)
    expect([contentOf(directory), holderPid]).toEqual([before, null])
    expect(statSync(copy).mode & 0o777).toBe(0o700)
    expect(chunks).toBeGreaterThan(3)
    expect((await run(['cat', copy])).stdout).toBe((await run(['cat', directory])).stdout)
    expect(await run(['verify', copy])).toMatchObject({ status: 0, stdout: expect.stringContaining('nothing is damaged') })
  })

  test('says in lines what it did', async () => {
    const directory = await storeWith(20)
    const { status, stdout, stderr } = await run(['backup', directory, join(temporaryDirectory(), 'a', 'b')])
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^1 chunk, \S+ KiB copied to .*b in \S+ s; the copy ends at \d+\n$/)
  })

  test('of a store with nothing in it is a store with nothing in it', async () => {
    const { copy } = await backedUp(await storeWith(0))
    expect(await eventsOf(copy)).toEqual([])
  })

  test('has what a kill left whole, and not the torn tail', async () => {
    const directory = await storeWith(30)
    const end = (await runJson<{ end: number }>(['verify', directory])).values[0]!.end
    tearTail(directory, end)
    const { copy } = await backedUp(directory)
    expect(await runJson(['verify', copy])).toMatchObject({ values: [{ eventCount: 30, tail: null, damageCount: 0 }] })
  })

  test('of a store that is being written has all that was flushed when it began', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const writer = await writerOf(directory)
    for (let turn = 0; turn < 5; turn++) {
      const flushed = (await runJson<{ hinted: number }>(['verify', directory])).values[0]!.hinted
      const { copy, position, holderPid } = await backedUp(directory)
      expect(holderPid).toBe(writer.child.pid)
      expect(position).toBeGreaterThanOrEqual(flushed)
      const { status, values } = await runJson<{ eventCount: number; damageCount: number }>(['verify', copy])
      expect([status, values[0]!.damageCount]).toEqual([0, 0])
      expect(await countIn(copy, 's')).toBe(values[0]!.eventCount)
    }
    await writer.kill()
  })

  test('of a store that is being scavenged is a state that it had', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const writer = await writerOf(
      directory,
      `await store.append('secret', { type: 'T', data: 'x' })
      ;(async () => { for (;;) { await store.setMetadata('s', { truncateBefore: Math.max(0, acked - 50) }); await store.scavenge(); say('scavenged') } })()`,
    )
    await writer.said('scavenged')
    for (let turn = 0; turn < 5; turn++) {
      const { copy } = await backedUp(directory)
      expect(await runJson(['verify', copy])).toMatchObject({ status: 0, values: [{ damageCount: 0 }] })
      const { stdout } = await run(['read', copy, 's', '--json'])
      const revisions = stdout
        .split('\n')
        .filter(Boolean)
        .map(line => (JSON.parse(line) as { revision: number }).revision)
      expect(revisions).toEqual(revisions.map((_, index) => revisions[0]! + index))
    }
    await writer.kill()
  })

  test('can be taken from a store and written to', async () => {
    const directory = await storeWith(30)
    const { copy } = await backedUp(directory)
    const store = await EventStore.open(copy)
    expect(await store.append('order-0', event(1), { expectedRevision: 9 })).toMatchObject({ firstRevision: 10 })
    await store.close()
    expect(await eventsOf(directory)).toHaveLength(30)
  })

  test('refuses a directory that is not empty, and one within the store', async () => {
    const directory = await storeWith(3)
    const full = temporaryDirectory()
    writeFileSync(join(full, 'a.txt'), '')
    expect(await run(['backup', directory, full])).toMatchObject({ status: 2, stderr: expect.stringContaining('not empty') })
    const within = join(directory, 'copy')
    expect(await run(['backup', directory, within])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('lies in the store'),
    })
    expect(readdirSync(directory)).not.toContain('copy')
  })

  test.each([
    ['backup'],
    ['repair', '--accept-loss'],
  ])('says in one line what to do about a path that will not do: %s', async (...command) => {
    const path = join(temporaryDirectory(), 'a'.repeat(300))
    const { status, stdout, stderr } = await run([...command, await storeWith(3), path])
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/^tailrace \w+: \S+ cannot be copied to: .*ENAMETOOLONG.*; name a shorter path\n$/)
  })

  test('of no store makes nothing', async () => {
    const parent = temporaryDirectory()
    mkdirSync(join(parent, 'empty'))
    for (const name of ['empty', 'none']) {
      expect(await run(['backup', join(parent, name), join(parent, 'copy')])).toMatchObject({ status: 2, stdout: '' })
    }
    expect(readdirSync(parent)).toEqual(['empty'])
  })

  test('of a damaged store ends with 1, and leaves no store', async () => {
    const directory = await storeWith(200)
    flipBit(chunkPath(directory, 1), 300)
    const copy = join(temporaryDirectory(), 'copy')
    const { status, stdout, stderr } = await run(['backup', directory, copy])
    expect([status, stdout]).toEqual([1, ''])
    expect(stderr).toContain(`the copy in ${copy} is not complete; remove it\n`)
    expect(stderr).toMatch(/000001\.chunk: position \d+: .*tailrace verify tells more\n$/)
    expect(readdirSync(copy)).not.toContain('000000.chunk')
  })

  test('ends when it is interrupted', async () => {
    const copy = join(temporaryDirectory(), 'copy')
    const { status, stderr } = await run(['backup', await storeWith(200), copy], {
      signal: AbortSignal.abort(new Error('Ctrl-C')),
    })
    expect(status).toBe(130)
    expect(stderr).toContain('not complete')
  })
})
