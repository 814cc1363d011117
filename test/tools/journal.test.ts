import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EventStore } from 'tailrace'
import { describe, expect, onTestFinished, test } from 'vitest'
import { anyEvent, anyName } from '../journals/scenes.ts'
import { StoreProcess } from '../support/processes.ts'
import { Random } from '../support/random.ts'
import { edit, eventsOf, run, runJson, storeWith, temporaryDirectory } from './scenes.ts'

const BIN = fileURLToPath(new URL('../../dist/tools/tailrace.js', import.meta.url))

function filesIn(directory: string): Record<string, string> {
  const names = readdirSync(directory).filter(name => /\.(log|name)$/.test(name))
  return Object.fromEntries(names.map(name => [name, readFileSync(join(directory, name), 'latin1')]))
}

/** The files of an export into a new directory. */
async function exported(store: string): Promise<Record<string, string>> {
  const directory = join(temporaryDirectory(), 'journals')
  expect(await run(['journal', store, directory])).toMatchObject({ status: 0, stderr: '' })
  return filesIn(directory)
}

describe('journal', () => {
  test('writes one file a stream, and goes on where it was', async () => {
    const store = await storeWith(30)
    const directory = join(temporaryDirectory(), 'journals')
    const first = await run(['journal', store, directory])
    expect(first).toMatchObject({ status: 0, stdout: expect.stringMatching(/^30 events written to .*; up to position \d+\n$/) })
    await storeWith(6, store)
    expect(await runJson(['journal', store, directory])).toMatchObject({ status: 0, values: [{ events: 6, mended: 0 }] })
    expect(Object.keys(filesIn(directory))).toEqual(['order-0.log', 'order-1.log', 'order-2.log'])
    expect(filesIn(directory)).toEqual(await exported(store))
  })

  test('can be read with grep, sort, cut and awk (E15, acceptance 6)', async () => {
    const directory = join(temporaryDirectory(), 'journals')
    await run(['journal', await storeWith(30), directory])
    const script = `grep -h ' Placed ' ${directory}/order-*.log | sort | cut -f1 | awk '{ print $3 }' | head -3`
    const shell = spawn('sh', ['-c', script])
    let text = ''
    shell.stdout.on('data', (data: Buffer) => {
      text += data
    })
    await once(shell, 'close')
    expect(text.split('\n').map(line => /^{"i":(\d+)/.exec(line)?.[1])).toHaveLength(4)
    expect(text).toMatch(/^({"i":\d+,"text":"x*"}\n){3}$/)
  })

  test('mends what kill -9 left in the middle of writing: the same bytes as a fresh export', async () => {
    const store = join(temporaryDirectory(), 'store')
    const directory = join(temporaryDirectory(), 'journals')
    const writer =
      new StoreProcess(`const store = await EventStore.open('${store}', { durability: 'os', chunkSizeBytes: 1048576 })
      say('open')
      for (let i = 0; ; i++) {
        await Promise.all(Array.from({ length: 40 }, (_, k) =>
          store.append('s-' + (i * k) % 97, { type: 'T', data: { i, k, text: 'x'.repeat((i * k) % 3000) } })))
        await new Promise(resolve => setTimeout(resolve, 15))
      }`)
    onTestFinished(() => writer.kill())
    await writer.said('open')
    let mended = 0
    // A kill may come between two writes: then there is another.
    for (let turn = 0; turn < 6 || (mended === 0 && turn < 40); turn++) {
      const before = sizeOf(safeFilesIn(directory))
      const follower = spawn(process.execPath, [BIN, 'journal', store, directory, '--follow', '--json'])
      await expect.poll(() => sizeOf(safeFilesIn(directory)), { interval: 5 }).toBeGreaterThan(before)
      await new Promise(resolve => setTimeout(resolve, (17 * turn) % 100))
      follower.kill('SIGKILL')
      await once(follower, 'close')
      const { status, stdout } = await run(['journal', '--verify', store, directory])
      expect([status, stdout]).toEqual([0, expect.stringContaining('the files are what the store says')])
      const next = await run(['journal', store, directory, '--json'])
      expect(next).toMatchObject({ status: 0, stderr: '' })
      mended += (JSON.parse(next.stdout) as { mended: number }).mended
    }
    await writer.kill()
    await (await EventStore.open(store)).close()
    await run(['journal', store, directory])
    expect(filesIn(directory)).toEqual(await exported(store))
    expect(mended).toBeGreaterThan(0)
  }, 60_000)

  test('--follow writes what comes, until Ctrl-C, and ends with 0', async () => {
    const store = await storeWith(10)
    const directory = join(temporaryDirectory(), 'journals')
    const follower = spawn(process.execPath, [BIN, 'journal', store, directory, '--follow'])
    let stdout = ''
    follower.stdout.on('data', (data: Buffer) => {
      stdout += data
    })
    const writer = await EventStore.open(store)
    await writer.append('live', { type: 'Live', data: 1 })
    await expect.poll(() => safeFilesIn(directory)['live.log'] ?? '').toContain(' Live 1\t')
    await writer.append('live', { type: 'Live', data: 2 })
    await expect.poll(() => filesIn(directory)['live.log']).toContain(' Live 2\t')
    expect(await run(['journal', store, directory])).toMatchObject({ status: 2, stderr: expect.stringContaining('is writing') })
    follower.kill('SIGINT')
    expect(await once(follower, 'close')).toEqual([0, null])
    expect(stdout).toContain('12 events written')
    await writer.close()
  })

  test('into a directory that has something else is refused, and leaves it as it is', async () => {
    const [store, other] = [await storeWith(3), await storeWith(3)]
    const before = readdirSync(other)
    const outcome = await run(['journal', store, other])
    expect(outcome).toMatchObject({ status: 2, stderr: expect.stringContaining('in a new or empty directory') })
    expect(readdirSync(other)).toEqual(before)
  })

  test('into the store is refused, whatever the way there', async () => {
    const store = await storeWith(3)
    const link = join(temporaryDirectory(), 'link')
    symlinkSync(store, link)
    mkdirSync(join(store, 'empty'))
    const before = readdirSync(store)
    for (const target of [store, link, join(store, 'empty'), join(store, 'a', 'b'), join(link, 'a')]) {
      const stderr = `tailrace journal: ${target} lies in the store; the original must not be touched`
      expect(await run(['journal', store, target])).toMatchObject({ status: 2, stderr: expect.stringContaining(stderr) })
    }
    expect(readdirSync(store)).toEqual(before)
    expect(await run(['journal', store, `${store}-journals`])).toMatchObject({ status: 0 })
  })

  test.each([
    [['a'], '<directory> is missing'],
    [['--verify', '--import', 'a', 'b'], 'either --verify or --import'],
    [['--verify', '--follow', 'a', 'b'], 'are for writing'],
  ])('%j is wrong usage', async (argv, reason) => {
    expect(await run(['journal', ...argv])).toMatchObject({ status: 2, stderr: expect.stringContaining(reason) })
  })
})

describe('journal --verify', () => {
  test('lists the files and lines that differ, with both sides', async () => {
    const store = await storeWith(30)
    const directory = join(temporaryDirectory(), 'journals')
    await run(['journal', store, directory])
    expect(await run(['journal', '--verify', store, directory])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('30 ev'),
    })
    edit(join(directory, 'order-1.log'), bytes => Buffer.from(bytes.toString().replace('"i":7,', '"i":8,')))
    const { status, stdout } = await run(['journal', '--verify', store, directory])
    expect(status).toBe(1)
    expect(stdout).toContain('1 difference:\n  order-1.log:3: changed\n    store: ')
    expect(stdout).toContain('{"i":8,')
    const { values } = await runJson(['journal', '--verify', store, directory])
    expect(values).toMatchObject([{ differenceCount: 1, differences: [{ file: 'order-1.log', line: 3, kind: 'changed' }] }])
  })

  test('refuses a directory without journals', async () => {
    const outcome = await run(['journal', '--verify', await storeWith(1), temporaryDirectory()])
    expect(outcome).toMatchObject({ status: 2, stderr: expect.stringContaining('there are no journals') })
  })
})

describe('journal --import', () => {
  test('brings back everything a stream has, so that another export has the same bytes (seed round)', async () => {
    const random = new Random('round')
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory, { chunkSizeBytes: 65536 })
    const streams = Array.from({ length: 30 }, () => anyName(random, 1024))
    for (let turn = 0; turn < 12; turn++) {
      await Promise.all(Array.from({ length: 20 }, () => store.append(random.pick(streams), anyEvent(random))))
    }
    await store.close()
    const journals = join(temporaryDirectory(), 'journals')
    await run(['journal', directory, journals])
    const copy = join(temporaryDirectory(), 'copy')
    const { status, values } = await runJson(['journal', '--import', journals, copy])
    expect([status, values]).toMatchObject([0, [{ imported: 240, skipped: 0, otherTimes: 0, error: null }]])
    expect(await exported(copy), `seed ${random.seed}`).toEqual(filesIn(journals))
    const byId = (events: Record<string, unknown>[]) => new Map(events.map(event => [event['id'], event]))
    expect(byId(await eventsOf(copy))).toEqual(byId(await eventsOf(directory)))
    expect(await run(['verify', copy])).toMatchObject({ status: 0 })
  })

  test('counts the rows of which the time lies before 1970, which no store knows', async () => {
    const journals = join(temporaryDirectory(), 'journals')
    mkdirSync(journals)
    const rows = ['1969-12-31T23:59:59.999 A 1', '1970-01-01T00:00:00.000 A 2', '1970-01-01T00:00:00.001 A 3']
    writeFileSync(join(journals, 'a.log'), `${rows.join('\n')}\n`)
    const { values } = await runJson(['journal', '--import', journals, join(temporaryDirectory(), 'copy')])
    expect(values).toMatchObject([{ imported: 3, otherTimes: 1 }])
  })

  test('takes rows without an id, in the order of their times over all streams (E16)', async () => {
    const journals = join(temporaryDirectory(), 'journals')
    mkdirSync(journals)
    writeFileSync(join(journals, 'a.log'), '2019-01-01T00:00:00.001 A 1\n2019-01-01T00:00:00.003 A 3\n')
    writeFileSync(join(journals, 'b.log'), '2019-01-01T00:00:00.002 B\\sB text:two\\n\n')
    const copy = join(temporaryDirectory(), 'copy')
    expect(await run(['journal', '--import', journals, copy])).toMatchObject({ status: 0 })
    const { stdout } = await run(['cat', copy])
    expect(
      stdout
        .split('\n')
        .slice(0, -1)
        .map(line => JSON.parse(line)),
    ).toMatchObject([
      { stream: 'a', created: '2019-01-01T00:00:00.001Z', data: 1 },
      { stream: 'b', created: '2019-01-01T00:00:00.002Z', type: 'B B', dataBase64: Buffer.from('two\n').toString('base64') },
      { stream: 'a', created: '2019-01-01T00:00:00.003Z', data: 3 },
    ])
  })

  test('again skips what is there, and takes what came since', async () => {
    const store = await storeWith(30)
    const journals = join(temporaryDirectory(), 'journals')
    const copy = join(temporaryDirectory(), 'copy')
    await run(['journal', store, journals])
    await run(['journal', '--import', journals, copy])
    await storeWith(3, store)
    await run(['journal', store, journals])
    expect(await runJson(['journal', '--import', journals, copy])).toMatchObject({ values: [{ imported: 3, skipped: 30 }] })
    expect(await exported(copy)).toEqual(filesIn(journals))
  })

  test('names file and line of the first row it can not take, and has all before it', async () => {
    const store = await storeWith(30)
    const journals = join(temporaryDirectory(), 'journals')
    const copy = join(temporaryDirectory(), 'copy')
    await run(['journal', store, journals])
    edit(join(journals, 'order-1.log'), bytes => Buffer.from(bytes.toString().replace(' Placed {"i":4,', ' Placed ["i":4,')))
    const { status, stdout, stderr } = await run(['journal', '--import', journals, copy])
    expect([status, stdout]).toEqual([1, expect.stringContaining('the same command goes on')])
    expect(stderr).toContain('tailrace journal: order-1.log:2: data is neither JSON')
    expect((await eventsOf(copy)).every(event => (event['data'] as { i: number }).i !== 7)).toBe(true)
  })

  test('goes on behind a bad line when that was mended, also with lines that have no id', async () => {
    const journals = join(temporaryDirectory(), 'journals')
    mkdirSync(journals)
    const lines = Array.from({ length: 6 }, (_, i) => `2019-01-01T00:00:00.00${i >> 1} T {"same":true}\n`)
    writeFileSync(join(journals, 's.log'), lines.map((line, i) => (i === 4 ? 'bad\n' : line)).join(''))
    writeFileSync(join(journals, 'other.log'), lines[0]!)
    const copy = join(temporaryDirectory(), 'copy')
    expect(await runJson(['journal', '--import', journals, copy])).toMatchObject({ status: 1, values: [{ imported: 5 }] })
    writeFileSync(join(journals, 's.log'), lines.join(''))
    const second = await runJson(['journal', '--import', journals, copy])
    expect(second).toMatchObject({ status: 0, values: [{ imported: 2, skipped: 5, repeated: 0 }] })
    const ids = (await eventsOf(copy)).map(event => event['id'])
    expect(new Set(ids).size).toBe(7)
    const fresh = join(temporaryDirectory(), 'fresh')
    await run(['journal', '--import', journals, fresh])
    expect((await eventsOf(fresh)).map(event => event['id']).sort()).toEqual(ids.sort())
  })

  test('names a bad line, too, among those whose events the store has', async () => {
    const journals = join(temporaryDirectory(), 'journals')
    mkdirSync(journals)
    const lines = Array.from({ length: 4 }, (_, i) => `2019-01-01T00:00:00.00${i} T ${i}\n`)
    writeFileSync(join(journals, 's.log'), lines.join(''))
    const copy = join(temporaryDirectory(), 'copy')
    await run(['journal', '--import', journals, copy])
    writeFileSync(join(journals, 's.log'), lines.map((line, i) => (i === 2 ? 'bad\n' : line)).join(''))
    const { status, stdout, stderr } = await run(['journal', '--import', journals, copy])
    expect([status, stdout]).toEqual([1, expect.stringContaining('the same command goes on')])
    expect(stderr).toBe("tailrace journal: s.log:3: not 'time type data'\n")
  })

  test('refuses a number that is too large for JavaScript, and makes no store', async () => {
    const journals = join(temporaryDirectory(), 'journals')
    mkdirSync(journals)
    writeFileSync(join(journals, 's.log'), '2019-01-01T00:00:00.000 T {"n":[1e999]}\n')
    const copy = join(temporaryDirectory(), 'copy')
    const outcome = await run(['journal', '--import', journals, copy])
    expect(outcome).toMatchObject({ status: 1, stderr: expect.stringContaining('s.log:1: a number that is too large') })
    expect(() => readdirSync(copy)).toThrow()
  })

  test('refuses a stream that has other events in the store', async () => {
    const journals = join(temporaryDirectory(), 'journals')
    await run(['journal', await storeWith(3), journals])
    const outcome = await run(['journal', '--import', journals, await storeWith(3)])
    expect(outcome).toMatchObject({ status: 2, stderr: expect.stringContaining("has a stream 'order-0' already") })
  })

  test.each(['.', 'store'])('refuses to make the store among the journals, in %s', async place => {
    const journals = join(temporaryDirectory(), 'journals')
    await run(['journal', await storeWith(3), journals])
    const before = readdirSync(journals)
    const outcome = await run(['journal', '--import', journals, join(journals, place)])
    expect(outcome).toMatchObject({ status: 2, stderr: expect.stringContaining('lies among the journals') })
    expect(readdirSync(journals)).toEqual(before)
  })

  test('says so when the store had later events, whose times can not be gone behind', async () => {
    const journals = join(temporaryDirectory(), 'journals')
    await run(['journal', await storeWith(3), journals])
    const copy = join(temporaryDirectory(), 'copy')
    const store = await EventStore.open(copy, { clock: { now: () => 4e12, monotonic: () => 0, after: () => () => {} } })
    await store.append('later', { type: 'T', data: 1 })
    await store.close()
    const { stdout } = await run(['journal', '--import', journals, copy])
    expect(stdout).toContain('3 events could not keep the time of the line')
  })
})

function sizeOf(files: Record<string, string>): number {
  return Object.values(files).reduce((sum, content) => sum + content.length, 0)
}

/** `filesIn`, while the directory may not be there yet. */
function safeFilesIn(directory: string): Record<string, string> {
  try {
    return filesIn(directory)
  } catch {
    return {}
  }
}
