import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { describe, expect, test } from 'vitest'
import { StoreProcess } from '../support/processes.ts'
import { chunkPath, contentOf, flipBit, run, runJson, storeWith, temporaryDirectory } from './scenes.ts'

interface Result {
  readonly chunksRead: number
  readonly chunksReplaced: number
  readonly bytesFreed: number
  readonly eventsKept: number
  readonly eventsDropped: number
  readonly interrupted: boolean
}

/** 98 of order-0, 100 of order-1, the event that is erased, and the note that asks for that. */
const DROPPED_COUNT = 200

/** A closed store in which most of what was written is gone. */
async function storeToScavenge(): Promise<string> {
  const directory = await storeWith(300)
  const store = await EventStore.open(directory, { chunkSizeBytes: 4096 })
  await store.setMetadata('order-0', { maxCount: 2 })
  await store.delete('order-1')
  await store.append('secrets', { type: 'Told', data: 'the-word-that-nobody-may-read' })
  await store.erase('secrets', 0)
  await store.close()
  return directory
}

describe('scavenge', () => {
  test('frees bytes, keeps what can be read, and leaves no byte of what was erased', async () => {
    const directory = await storeToScavenge()
    const before = (await run(['read', directory, 'order-2', '--json'])).stdout
    const { status, values } = await runJson<Result>(['scavenge', directory])
    expect(status).toBe(0)
    expect(values[0]!.bytesFreed).toBeGreaterThan(4096)
    expect(values[0]!).toMatchObject({ interrupted: false, eventsDropped: DROPPED_COUNT })
    expect((await run(['read', directory, 'order-2', '--json'])).stdout).toBe(before)
    expect(await run(['verify', directory])).toMatchObject({ status: 0 })
    const files = readdirSync(directory).map(name => readFileSync(join(directory, name), 'latin1'))
    expect(files.join('')).not.toContain('nobody-may-read')
  })

  test('says in lines what it freed', async () => {
    const { status, stdout, stderr } = await run(['scavenge', await storeToScavenge()])
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(
      /^\d+\.\d KiB freed in \d+ chunks of .*, in \d+\.\d s\n200 events dropped, \d+ kept; \d+ chunks rewritten\n$/,
    )
  })

  test('keeps the size of chunks', async () => {
    const directory = await storeToScavenge()
    await run(['scavenge', directory])
    const { stdout } = await run(['inspect', directory, '--json'])
    const sizes = stdout
      .split('\n')
      .filter(line => line.startsWith('{"kind":"chunk",'))
      .map(line => (JSON.parse(line) as { chunkSize: number }).chunkSize)
    expect(new Set(sizes)).toEqual(new Set([4096]))
  })

  test('of a store where nothing is gone frees nothing', async () => {
    for (const directory of [await storeWith(50), await storeWith(0)]) {
      expect(await runJson<Result>(['scavenge', directory])).toMatchObject({
        status: 0,
        values: [{ bytesFreed: 0, chunksReplaced: 0, eventsDropped: 0 }],
      })
    }
  })

  test('of a store that another process has open says so in one line', async () => {
    const directory = await storeWith(3)
    const holder = new StoreProcess(`await EventStore.open('${directory}'); say('open'); setInterval(() => {}, 1000)`)
    await holder.said('open')
    const { status, stdout, stderr } = await run(['scavenge', directory])
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toBe(
      `tailrace scavenge: ${directory} is open in process ${holder.child.pid}: close it there, or have it call store.scavenge(); see tailrace scavenge --help\n`,
    )
    await holder.kill()
  })

  test('of no store makes none', async () => {
    const parent = temporaryDirectory()
    mkdirSync(join(parent, 'empty'))
    expect(await run(['scavenge', join(parent, 'empty')])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('is empty'),
    })
    expect(await run(['scavenge', join(parent, 'none')])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('does not exist'),
    })
    expect([readdirSync(parent), readdirSync(join(parent, 'empty'))]).toEqual([['empty'], []])
  })

  test('of a damaged store ends with 1, and frees nothing', async () => {
    const directory = await storeToScavenge()
    flipBit(chunkPath(directory, 0), 300)
    const before = contentOf(directory)['000000.chunk']
    const { status, stderr } = await run(['scavenge', directory])
    expect(status).toBe(1)
    expect(stderr).toMatch(/^tailrace scavenge: .*000000\.chunk: position .*tailrace verify tells more\n$/)
    expect(contentOf(directory)['000000.chunk']).toBe(before)
  })

  test('that is interrupted says how far it came, and goes on when it is run again', async () => {
    const directory = await storeToScavenge()
    const { status, stdout } = await run(['scavenge', directory], { signal: AbortSignal.abort(new Error('Ctrl-C')) })
    expect(status).toBe(130)
    expect(stdout).toMatch(/^interrupted; 0 bytes freed in 0 chunks of .*\nwhat was freed stays so; the same command goes on\n$/)
    expect((await runJson<Result>(['scavenge', directory])).values[0]!.eventsDropped).toBe(DROPPED_COUNT)
  })
})
