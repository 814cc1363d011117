import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { describe, expect, onTestFinished, test } from 'vitest'
import { chunkPath, event, eventsOf, flipBit, run, runJson, storeWith, tearTail, temporaryDirectory } from './scenes.ts'

interface ImportResult {
  readonly imported: number
  readonly skipped: number
  readonly nextLine: number
  readonly error: { readonly line: number; readonly message: string } | null
  readonly interrupted: boolean
}

function line(fields: Record<string, unknown>): string {
  return JSON.stringify({ stream: 's', type: 'T', data: 1, ...fields })
}

/** Imports `input` into a new store. */
async function importInto(
  directory: string,
  input: string | Buffer,
  ...options: string[]
): Promise<ImportResult & { status: number; stderr: string }> {
  const { status, stdout, stderr } = await run(['import', directory, '-', '--json', ...options], { input })
  return { status, stderr, ...(JSON.parse(stdout) as ImportResult) }
}

function newDirectory(): string {
  return join(temporaryDirectory(), 'store')
}

describe('cat and import', () => {
  test('are each the inverse of the other, up to position and time', async () => {
    const directory = newDirectory()
    const store = await EventStore.open(directory, { chunkSizeBytes: 65536 })
    const id = '11111111-2222-4333-8444-555555555555'
    const payloads = [
      { a: [1, 2.5, -0.001, 1e300, null, true], 'ü"\\\n': '\u2028\u0000\ud83d\ude00\\', __proto__: 1, 10: 'a', 9: 'b' },
      null,
      '',
      'text',
      0,
      [],
      new Uint8Array([0, 255, 10, 13]),
      new Uint8Array(0),
      JSON.parse('{"__proto__":{"x":1}}'),
    ]
    for (const [i, data] of payloads.entries()) {
      await store.append(`stream "${i % 3}" / ü`, { type: `Type ${i}`, data })
      await store.append('with-metadata', { type: 'M', data, metadata: data, ...(i === 0 ? { id } : {}) })
    }
    await store.append('several', [event(1), event(2), event(3)])
    await store.append('large', { type: 'L', data: 'x'.repeat(60_000) })
    await store.close()
    const { stdout } = await run(['cat', directory])
    expect(stdout).toContain(id)

    const copy = newDirectory()
    expect(await importInto(copy, stdout)).toMatchObject({ status: 0, imported: payloads.length * 2 + 4, error: null })
    expect(await eventsOf(copy)).toEqual(await eventsOf(directory))
    // Byte for byte, but for position and time, which stand in front of the payloads.
    const lines = (text: string): string[] =>
      text
        .replace(/"position":\d+,/g, '')
        .replace(/"created":"[^"]*",/g, '')
        .split('\n')
    expect(lines((await run(['cat', copy])).stdout)).toEqual(lines(stdout))
    const [first] = await eventsOf(copy)
    expect(Object.keys(first!)).toEqual(['stream', 'revision', 'id', 'type', 'data'])
  })

  test('carry the largest event, in base64', async () => {
    const directory = newDirectory()
    const store = await EventStore.open(directory)
    const data = new Uint8Array(16 * 1024 * 1024 - 100)
    data.set([1, 2, 3], 5_000_000)
    await store.append('s', { type: 'T', data })
    await store.close()
    const { stdout } = await run(['cat', directory])
    const copy = newDirectory()
    // The copy supplies the id, 16 bytes more, and there is room for them.
    expect(await importInto(copy, stdout)).toMatchObject({ status: 0, imported: 1 })
    expect((await run(['cat', copy])).stdout.slice(-1_000_000)).toBe(stdout.slice(-1_000_000))
  })
})

describe('cat', () => {
  test('prints a stream or everything, from a place, so many, backwards', async () => {
    const directory = await storeWith(30)
    const numbers = async (...argv: string[]): Promise<number[]> => {
      const { status, stdout } = await run(['cat', directory, ...argv])
      expect(status).toBe(0)
      return stdout
        .split('\n')
        .filter(Boolean)
        .map(text => (JSON.parse(text) as { data: { i: number } }).data.i)
    }
    expect(await numbers()).toEqual(Array.from({ length: 30 }, (_, i) => i))
    expect(await numbers('order-1')).toEqual([1, 4, 7, 10, 13, 16, 19, 22, 25, 28])
    expect(await numbers('order-1', '--from', '8')).toEqual([25, 28])
    expect(await numbers('order-1', '--from', '1', '--backwards')).toEqual([4, 1])
    expect(await numbers('--backwards', '--limit', '2')).toEqual([29, 28])
    expect(await numbers('--limit', '0')).toEqual([])
    const { position } = JSON.parse((await run(['cat', directory, 'order-1', '--limit', '1', '--from', '5'])).stdout)
    expect(await numbers('--from', String(position), '--limit', '1')).toEqual([16])
  })

  test('shows a store that is open, and one with a torn tail', async () => {
    const directory = newDirectory()
    const store = await EventStore.open(directory)
    await store.append('a', event(1))
    await new Promise(resolve => setTimeout(resolve, 50))
    expect((await run(['cat', directory])).stdout).toContain('"stream":"a"')
    await store.close()
    const { values } = await runJson<{ end: number }>(['verify', directory])
    tearTail(directory, values[0]!.end)
    expect((await run(['cat', directory])).stdout).toContain('"stream":"a"')
  })

  test('of what is not there, or damaged, says so in one line', async () => {
    const directory = await storeWith(200)
    expect(await run(['cat', directory, 'nobody'])).toMatchObject({
      status: 2,
      stdout: '',
      stderr: "tailrace cat: stream 'nobody' does not exist\n",
    })
    expect(await run(['cat', `${directory}x`])).toMatchObject({ status: 2, stderr: expect.stringContaining('does not exist') })
    const empty = temporaryDirectory()
    expect(await run(['cat', empty])).toMatchObject({ status: 2, stderr: expect.stringContaining('there is no store in') })
    flipBit(chunkPath(directory, 1), 1000)
    for (const words of [['cat'], ['read', 'order-1', '--json']]) {
      const [command, ...rest] = words as [string, ...string[]]
      const { status, stdout, stderr } = await run([command, directory, ...rest])
      expect([status, stderr]).toEqual([1, expect.stringContaining('tailrace verify tells more')])
      // All that stands before the damage.
      expect(stdout.split('\n').length).toBeGreaterThan(5)
    }
  })
})

describe('import', () => {
  test('makes the store, skips empty lines, takes CRLF, a byte order mark and a last line without an end', async () => {
    const directory = newDirectory()
    const input = `\ufeff${line({ data: 'ä' })}\r\n\r\n  \n\n${line({ data: 2 })}\n${line({ data: 3 })}`
    expect(await importInto(directory, input)).toMatchObject({ status: 0, imported: 3, nextLine: 7, error: null })
    expect((await eventsOf(directory)).map(({ data }) => data)).toEqual(['ä', 2, 3])
  })

  test('passes over a first line of nothing but a byte order mark', async () => {
    const result = await importInto(newDirectory(), `\ufeff\r\n${line({})}\n`)
    expect(result).toMatchObject({ status: 0, imported: 1, nextLine: 3, error: null })
  })

  test('gives a line without an id one that another import repeats', async () => {
    const input = `${line({})}\n${line({})}\n`
    const first = newDirectory()
    const second = newDirectory()
    await importInto(first, input)
    await importInto(second, input.replaceAll('\n', '\r\n'))
    const ids = (await eventsOf(first)).map(({ id }) => id)
    expect(new Set(ids).size).toBe(2)
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect((await eventsOf(second)).map(({ id }) => id)).toEqual(ids)
    const rest = newDirectory()
    await importInto(rest, input, '--from-line', '2')
    expect((await eventsOf(rest)).map(({ id }) => id)).toEqual([ids[1]])
  })

  test.each([
    ['{', 'JSON'],
    ['[]', 'not a JSON object'],
    ['"x"', 'not a JSON object'],
    [line({ stream: undefined }), 'no stream'],
    [line({ stream: 7 }), 'stream is not a string'],
    [line({ type: undefined }), 'no type'],
    [line({ data: undefined }), 'neither data nor dataBase64'],
    [line({ dataBase64: 'AQ==' }), 'both data and dataBase64'],
    [line({ data: undefined, dataBase64: 'A?==' }), 'dataBase64 is not base64'],
    [line({ data: undefined, dataBase64: 'AQ=' }), 'dataBase64 is not base64'],
    [line({ metadataBase64: 7 }), 'metadataBase64 is not base64'],
    [line({ metdata: 1 }), "unknown field 'metdata'"],
    [line({ id: 'x' }), 'event id must be a UUID'],
    [line({ id: 7 }), 'id is not a string'],
    ['{"stream":"s","type":"t","data":{"x":[1e400]}}', 'too large for JavaScript'],
    [`{"stream":"s","type":"t","data":1,"metadata":[${'9'.repeat(310)}]}`, 'too large for JavaScript'],
    [line({ stream: '$x' }), 'belong to the store'],
    [line({ stream: '' }), 'must not be empty'],
    [line({ type: 'x'.repeat(300) }), 'longer than 255 bytes'],
  ])('ends at a bad line, with everything before it in the store: %s', async (bad, message) => {
    const directory = newDirectory()
    const good = Array.from({ length: 20 }, (_, i) => line({ data: i })).join('\n')
    const result = await importInto(directory, `${good}\n${bad}\n${line({ data: 'behind' })}\n`)
    expect(result).toMatchObject({ status: 1, imported: 20, nextLine: 21, error: { line: 21 } })
    expect(result.stderr).toContain('line 21: ')
    expect(result.stderr).toContain(message)
    expect((await eventsOf(directory)).map(({ data }) => data)).toEqual(Array.from({ length: 20 }, (_, i) => i))
  })

  test('passes over lines whose ids their streams have, and counts them', async () => {
    const directory = newDirectory()
    const id = '523faa38-0d6b-8c4f-9a53-6a25f0a8a001'
    const input = [line({ id }), line({ id, data: 'again' }), line({ id, stream: 'other' })].join('\n')
    expect(await importInto(directory, input)).toMatchObject({ status: 0, imported: 2, skipped: 1 })
    expect(await importInto(directory, input)).toMatchObject({ status: 0, imported: 0, skipped: 3 })
    expect((await run(['import', directory, '-'], { input })).stdout).toContain(
      '3 lines passed over: the stream had an event with that id already',
    )
    expect(await eventsOf(directory)).toHaveLength(2)
  })

  test('names a line that the store refuses late, and goes on there without doubling those behind it', async () => {
    const directory = newDirectory()
    const store = await EventStore.open(directory)
    await store.tombstone('gone')
    await store.close()
    const input = Array.from({ length: 100 }, (_, i) => line({ stream: i === 2 ? 'gone' : 's', data: i })).join('\n')
    const { status, nextLine, error } = await importInto(directory, input)
    expect([status, nextLine, error?.line]).toEqual([1, 3, 3])
    expect(await importInto(directory, input, '--from-line', '4')).toMatchObject({ status: 0, nextLine: 101 })
    expect((await eventsOf(directory)).map(({ data }) => data).sort((one, other) => (one as number) - (other as number))).toEqual(
      Array.from({ length: 100 }, (_, i) => i).filter(i => i !== 2),
    )
  })

  test('ends at a line that is not UTF-8 or far too long', async () => {
    const good = Buffer.from(`${line({})}\n`)
    const latin = Buffer.concat([good, Buffer.from(line({ data: 'ä' }), 'latin1'), Buffer.from('\n')])
    expect((await importInto(newDirectory(), latin)).error).toEqual({ line: 2, message: 'not UTF-8' })
    const long = Buffer.concat([good, Buffer.alloc(25 * 1024 * 1024, 'x')])
    expect((await importInto(newDirectory(), long)).error).toMatchObject({
      line: 2,
      message: expect.stringContaining('longer than'),
    })
  })

  test('goes on behind a line that is far too long, from the line that is named', async () => {
    const directory = newDirectory()
    const file = join(temporaryDirectory(), 'events.ndjson')
    writeFileSync(file, [line({ data: 1 }), 'x'.repeat(25 * 1024 * 1024), line({ data: 3 }), line({ data: 4 })].join('\n'))
    expect(await run(['import', directory, file])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('line 2: longer than'),
    })
    expect(await run(['import', directory, file, '--from-line', '3'])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('2 events imported'),
    })
    expect((await eventsOf(directory)).map(({ data }) => data)).toEqual([1, 3, 4])
  })

  test('of an event that no chunk can hold names its line', async () => {
    const input = `${line({})}\n${line({ data: 'x'.repeat(17 * 1024 * 1024) })}\n`
    const result = await importInto(newDirectory(), input)
    expect(result).toMatchObject({ status: 1, imported: 1, error: { line: 2, message: expect.stringContaining('the most is') } })
  })

  test('tells how to go on, and goes on there', async () => {
    const directory = newDirectory()
    const file = join(temporaryDirectory(), 'events.ndjson')
    const lines = Array.from({ length: 10 }, (_, i) => line({ data: i }))
    writeFileSync(file, [...lines.slice(0, 4), '{"stream"', ...lines.slice(5)].join('\n'))
    const first = await run(['import', directory, file])
    expect(first).toMatchObject({ status: 1, stderr: expect.stringContaining('tailrace import: line 5: ') })
    expect(first.stdout).toContain('4 events imported')
    expect(first.stdout).toContain('go on with --from-line 5')
    writeFileSync(file, lines.join('\n'))
    expect(await run(['import', directory, file, '--from-line', '5'])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('6 events imported'),
    })
    expect((await eventsOf(directory)).map(({ data }) => data)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('keeps many appends under way, in the order of the lines', async () => {
    const directory = newDirectory()
    const input = Array.from({ length: 20_000 }, (_, i) => line({ stream: `s-${i % 3}`, data: i })).join('\n')
    expect(await importInto(directory, input)).toMatchObject({ status: 0, imported: 20_000 })
    expect((await eventsOf(directory)).map(({ data }) => data)).toEqual(Array.from({ length: 20_000 }, (_, i) => i))
  })

  test('that is interrupted finishes what is under way and says how far it got', async () => {
    const directory = newDirectory()
    const interruption = new AbortController()
    const importing = run(['import', directory, '-', '--json'], { signal: interruption.signal })
    await new Promise(resolve => setTimeout(resolve, 50))
    interruption.abort()
    const { status, stdout } = await importing
    expect(status).toBe(130)
    expect(JSON.parse(stdout)).toMatchObject({ imported: 0, nextLine: 1, interrupted: true })
  })

  test('that cannot begin makes no store', async () => {
    const directory = newDirectory()
    expect(await run(['import', directory, join(directory, 'none.ndjson')])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('does not exist'),
    })
    const folder = temporaryDirectory()
    expect(await run(['import', directory, folder])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('is a directory'),
    })
    const socket = join(folder, 'socket')
    const server = createServer().listen(socket)
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    expect(await run(['import', directory, socket])).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^tailrace import: .*socket'\n$/),
    })
    expect(await run(['import', directory, '-', '--from-line', '0'])).toMatchObject({ status: 2 })
    expect(() => readFileSync(join(directory, 'lock'))).toThrow()
  })

  test('into a store that is open elsewhere is refused', async () => {
    const directory = newDirectory()
    const store = await EventStore.open(directory)
    expect(await run(['import', directory, '-'], { input: line({}) })).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(`is open in process ${process.pid}`),
    })
    await store.close()
    rmSync(directory, { recursive: true })
    mkdirSync(directory)
    expect(await importInto(directory, line({}))).toMatchObject({ status: 0, imported: 1 })
  })
})
