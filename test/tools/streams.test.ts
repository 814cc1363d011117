import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { describe, expect, test, vi } from 'vitest'
import { StoreProcess } from '../support/processes.ts'
import { chunkPath, edit, run, runJson, storeWith, temporaryDirectory } from './scenes.ts'

/** In the order of the lines, which have none. */
async function listed(directory: string, ...options: string[]): Promise<string[]> {
  const { status, stdout, stderr } = await run(['streams', directory, ...options])
  expect([status, stderr]).toEqual([0, ''])
  return stdout.split('\n').filter(Boolean).sort()
}

describe('streams', () => {
  test('shows first revision, last revision and name of each', async () => {
    expect(await listed(await storeWith(200))).toEqual(['0 65 order-2', '0 66 order-0', '0 66 order-1'])
  })

  test('with --json prints an object a line', async () => {
    const { values } = await runJson(['streams', await storeWith(2)])
    expect(values).toHaveLength(2)
    expect(values).toContainEqual({ stream: 'order-1', firstRevision: 0, lastRevision: 0 })
  })

  test('with --prefix shows those that begin so', async () => {
    const directory = await storeWith(30)
    expect(await listed(directory, '--prefix', 'order-1')).toEqual(['0 9 order-1'])
    expect(await listed(directory, '--prefix', 'user-')).toEqual([])
  })

  test('leaves out what is deleted, and shows what retention has kept', async () => {
    const directory = await storeWith(30)
    const store = await EventStore.open(directory)
    await store.delete('order-0')
    await store.setMetadata('order-1', { truncateBefore: 7 })
    await store.close()
    expect(await listed(directory)).toEqual(['0 9 order-2', '7 9 order-1'])
  })

  test('sends no control characters of a name to the terminal, and keeps spaces', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory)
    await store.append('a b\u2028c', { type: 'T', data: 1 })
    await store.close()
    expect(await listed(directory)).toEqual(['0 0 a b\\u2028c'])
  })

  test('of a store with nothing in it shows nothing', async () => {
    expect(await listed(await storeWith(0))).toEqual([])
  })

  test('reads a store that another process writes', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const writer = new StoreProcess(`const store = await EventStore.open('${directory}')
      for (const stream of ['a', 'b']) await store.append(stream, { type: 'T', data: 1 })
      say('acked')
      setInterval(() => {}, 1000)`)
    await writer.said('acked')
    await expect.poll(() => listed(directory)).toEqual(['0 0 a', '0 0 b'])
    await writer.kill()
  })

  test('ends when it is interrupted, also amid streams of which none is shown', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory)
    await store.commit(Array.from({ length: 20_000 }, (_, i) => ({ stream: `order-${i}`, events: { type: 'T', data: i } })))
    await store.close()
    const interruption = new AbortController()
    const { streams } = EventStore.prototype
    vi.spyOn(EventStore.prototype, 'streams').mockImplementationOnce(function (this: EventStore, options) {
      setImmediate(() => interruption.abort(new Error('Ctrl-C')))
      return streams.call(this, options)
    })
    const { signal } = interruption
    const interrupted = { status: 130, stdout: '', stderr: 'tailrace streams: interrupted\n' }
    expect(await run(['streams', directory, '--prefix', 'user-'], { signal })).toEqual(interrupted)
    expect(await run(['streams', directory], { signal })).toEqual(interrupted)
  })

  test('of no store is refused', async () => {
    const empty = join(temporaryDirectory(), 'empty')
    mkdirSync(empty)
    expect(await run(['streams', empty])).toMatchObject({ status: 2, stderr: expect.stringContaining('no store') })
    expect(await run(['streams', join(empty, 'none')])).toMatchObject({ status: 2, stderr: expect.stringContaining('not exist') })
  })

  test('of a store without its first chunk ends with 1', async () => {
    const directory = await storeWith(200)
    edit(chunkPath(directory, 0), bytes => bytes.fill(0))
    expect(await run(['streams', directory])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^tailrace streams: .*000000\.chunk: .*tailrace verify tells more\n$/),
    })
  })
})
