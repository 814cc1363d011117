import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { describe, expect, test } from 'vitest'
import { StoreProcess } from '../support/processes.ts'
import { chunkPath, flipBit, run, runJson, storeWith, temporaryDirectory } from './scenes.ts'

interface Line {
  readonly stream: string
  readonly revision: number
}

function revisionsIn(text: string): string[] {
  return [...text.matchAll(/ (\S+@\d+) /g)].map(match => match[1]!)
}

describe('read', () => {
  test('shows position, time, stream@revision, type and data of a stream', async () => {
    const { status, stdout, stderr } = await run(['read', await storeWith(9), 'order-1'])
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout.split('\n')[0]).toMatch(/^\d+ \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} order-1@0 Shipped {"i":1,"text":"x"}$/)
    expect(revisionsIn(stdout)).toEqual(['order-1@0', 'order-1@1', 'order-1@2'])
  })

  test('begins and ends where it is told to, either way', async () => {
    const directory = await storeWith(60)
    const shown = async (...options: string[]) => revisionsIn((await run(['read', directory, 'order-0', ...options])).stdout)
    expect(await shown('--from', '17', '--count', '2')).toEqual(['order-0@17', 'order-0@18'])
    expect(await shown('--from', '2', '--backwards')).toEqual(['order-0@2', 'order-0@1', 'order-0@0'])
    expect(await shown('--backwards', '--count', '1')).toEqual(['order-0@19'])
    expect(await shown('--from', '20')).toEqual([])
  })

  test('with --json prints the lines of cat', async () => {
    const directory = await storeWith(30)
    const { stdout } = await run(['read', directory, 'order-2', '--json'])
    expect(stdout).toBe((await run(['cat', directory, 'order-2'])).stdout)
    expect(stdout.split('\n')).toHaveLength(11)
  })

  test('with --batch prints arrays', async () => {
    const { status, values } = await runJson<Line[]>(['read', await storeWith(30), 'order-2', '--batch', '4'])
    expect(status).toBe(0)
    expect(values.map(batch => batch.map(({ revision }) => revision))).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ])
  })

  test('shows what retention has kept', async () => {
    const directory = await storeWith(30)
    const store = await EventStore.open(directory)
    await store.setMetadata('order-0', { maxCount: 2 })
    await store.close()
    expect(revisionsIn((await run(['read', directory, 'order-0'])).stdout)).toEqual(['order-0@8', 'order-0@9'])
  })

  test('reads a store that another process writes', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const writer = new StoreProcess(`const store = await EventStore.open('${directory}')
      await store.append('s', [1, 2, 3].map(data => ({ type: 'T', data })))
      say('acked')
      setInterval(() => {}, 1000)`)
    await writer.said('acked')
    await expect.poll(async () => revisionsIn((await run(['read', directory, 's'])).stdout)).toEqual(['s@0', 's@1', 's@2'])
    await writer.kill()
  })

  test('of a stream that is not there, or of an empty store, is refused', async () => {
    expect(await run(['read', await storeWith(3), 'nobody'])).toEqual({
      ...{ status: 2, stdout: '' },
      stderr: "tailrace read: stream 'nobody' does not exist\n",
    })
    expect(await run(['read', await storeWith(0), 'order-0'])).toMatchObject({ status: 2, stdout: '' })
  })

  test('of no store is refused', async () => {
    const empty = join(temporaryDirectory(), 'empty')
    mkdirSync(empty)
    expect(await run(['read', empty, 's'])).toMatchObject({ status: 2, stderr: expect.stringContaining('no store') })
    expect(await run(['read', join(empty, 'none'), 's'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('not exist'),
    })
  })

  test('of a damaged chunk ends with 1 and says where', async () => {
    const directory = await storeWith(200)
    flipBit(chunkPath(directory, 1), 300)
    const { status, stderr } = await run(['read', directory, 'order-0'])
    expect(status).toBe(1)
    expect(stderr).toMatch(/^tailrace read: .*000001\.chunk: position .*tailrace verify tells more\n$/)
  })

  test('of a damaged chunk prints what stands before it, in arrays of any size', async () => {
    const directory = await storeWith(200)
    flipBit(chunkPath(directory, 1), 300)
    const { values } = await runJson<Line>(['read', directory, 'order-0'])
    expect(values.length).toBeGreaterThan(5)
    for (const size of [1, 4, 500]) {
      const { status, values: batches } = await runJson<Line[]>(['read', directory, 'order-0', '--batch', `${size}`])
      expect([status, batches.flat()]).toEqual([1, values])
    }
  })

  test.each([
    [['--batch', '5'], '--batch needs --json'],
    [['--batch', '0', '--json'], '--batch must be a whole number from 1'],
    [['--count', 'x'], '--count must be a whole number'],
  ])('refuses %j', async (options, reason) => {
    expect(await run(['read', 'x', 's', ...options])).toMatchObject({ status: 2, stderr: expect.stringContaining(reason) })
  })
})
