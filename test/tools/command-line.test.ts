import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EventStore } from 'tailrace'
import { describe, expect, test } from 'vitest'
import { canRun } from '../support/processes.ts'
import { chunkPath, edit, eventsOf, run, storeWith, temporaryDirectory } from './scenes.ts'

const BIN = fileURLToPath(new URL('../../dist/tools/tailrace.js', import.meta.url))
const canLimit = canRun('prlimit', ['--fsize=1000000', 'true'], 'a file that may not grow')
const COMMANDS = ['inspect', 'verify', 'repair', 'backup', 'scavenge', 'import', 'cat', 'streams', 'read', 'tail', 'journal']

describe('tailrace', () => {
  test('--help lists every command', async () => {
    const { status, stdout, stderr } = await run(['--help'])
    expect([status, stderr]).toEqual([0, ''])
    for (const name of COMMANDS) expect(stdout).toContain(`\n  ${name} `)
  })

  test.each(COMMANDS)('%s --help shows options, exit status and examples', async name => {
    const { status, stdout } = await run([name, '--help'])
    expect(status).toBe(0)
    expect(stdout).toMatch(new RegExp(`^Usage: tailrace ${name} `))
    expect(stdout).toContain('Exit status:')
    expect(stdout).toContain('Examples:')
    expect(Math.max(...stdout.split('\n').map(line => line.length))).toBeLessThanOrEqual(115)
  })

  test('help of a command is its own', async () => {
    expect(await run(['help', 'import'])).toEqual(await run(['import', '--help']))
    expect(await run(['help'])).toEqual(await run(['--help']))
  })

  test.each([
    [['cat', 'FILE'], 'FILE is a file; a store is a directory'],
    [['streams', 'FILE'], 'FILE is a file; a store is a directory'],
    [['backup', 'FILE', 'copy'], 'FILE is a file; a store is a directory'],
    [['import', 'FILE', '-'], 'is no directory'],
    [['inspect', ''], 'a path is empty'],
    [['inspect', 'STORE/lock'], 'STORE/lock is neither a chunk nor an index file'],
    [['inspect', 'STORE/flushed'], 'STORE/flushed is neither a chunk nor an index file'],
    [['cat', 'STORE', '--limit', '-1'], "Option '--limit' argument is ambiguous"],
  ])('%j says what is wrong in one line', async (words, message) => {
    const store = await storeWith(1)
    const here = (text: string) => text.replace('FILE', join(store, '000000.chunk')).replace('STORE', store)
    const { status, stdout, stderr } = await run(words.map(here), { input: '' })
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toContain(here(message))
    expect(stderr.trimEnd()).not.toContain('\n')
    expect(stderr).not.toContain('\\u000a')
  })

  test('--version is that of the package', async () => {
    expect(await run(['--version'])).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  })

  test('of an unknown command, or none, is wrong usage', async () => {
    expect(await run(['frobnicate'])).toEqual({
      status: 2,
      stdout: '',
      stderr: "tailrace: unknown command 'frobnicate'; see tailrace --help\n",
    })
    expect(await run([])).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('Usage:') })
  })
})

describe('a directory whose name could control the terminal', () => {
  test.each([
    ['verify', 'STORE'],
    ['inspect', 'STORE'],
    ['scavenge', 'STORE'],
    ['backup', 'STORE', 'STORE.copy'],
    ['repair', '--accept-loss', 'STORE', 'STORE.copy'],
    ['import', 'STORE', '-'],
    ['journal', 'STORE', 'STORE.journals'],
  ])('is shown escaped: %s', async (...words) => {
    const name = await storeWith(60, join(temporaryDirectory(), 'a\u001b[31m\u202eb'))
    const { status, stdout } = await run(
      words.map(word => word.replace('STORE', name)),
      { input: '' },
    )
    expect([status, stdout.match(/[\u001b\u202e]/)]).toEqual([0, null])
    expect(stdout).toContain('a\\u001b[31m\\u202eb')
  })
})

describe('when nobody reads', () => {
  async function damagedStore(): Promise<string> {
    const directory = await storeWith(60)
    edit(chunkPath(directory, 0), bytes => {
      bytes[500]! ^= 1
    })
    return directory
  }

  test.each([
    ['verify'],
    ['verify', '--json'],
    ['inspect'],
  ])('the result, the exit status still says that a store is damaged: %s', async (...words) => {
    expect(await run([...words, await damagedStore()], { gone: 'stdout' })).toEqual({ status: 1, stdout: '', stderr: '' })
    expect(await run([...words, await storeWith(3)], { gone: 'stdout' })).toEqual({ status: 0, stdout: '', stderr: '' })
  })

  test.each(['stdout', 'stderr'] as const)('the %s, the exit status still says that a line could not be imported', async gone => {
    const directory = join(temporaryDirectory(), 'store')
    const { status, stdout, stderr } = await run(['import', directory, '-'], { input: 'no event\n', gone })
    expect(status).toBe(1)
    expect(stdout === '').toBe(gone === 'stdout')
    expect(stderr === '').toBe(gone === 'stderr')
  })

  test('the errors, the exit status still says that a copy is not complete', async () => {
    const copy = join(temporaryDirectory(), 'copy')
    expect(await run(['backup', await damagedStore(), copy], { gone: 'stderr' })).toMatchObject({ status: 1, stdout: '' })
  })
})

/** Collects what a process says. */
async function finished(child: ChildProcessWithoutNullStreams): Promise<{ code: number | null; stdout: string; stderr: string }> {
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

describe('the built command', () => {
  test('runs', async () => {
    expect(await finished(spawn(process.execPath, [BIN, '--help']))).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringContaining('Usage: tailrace'),
    })
    const directory = await storeWith(20)
    expect(await finished(spawn(process.execPath, [BIN, 'verify', directory]))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('20 events'),
    })
  })

  test('imports from a pipe that a path leads to, and refuses a directory on its standard input', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const script = `echo '{"stream":"s","type":"t","data":1}' | "$0" "$1" import "$2" /dev/stdin`
    expect(await finished(spawn('sh', ['-c', script, process.execPath, BIN, directory]))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 event imported'),
    })
    const refused = spawn('sh', ['-c', '"$0" "$1" import "$2" - < /', process.execPath, BIN, join(directory, 'another')])
    expect(await finished(refused)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('the standard input is a directory'),
    })
    expect(existsSync(join(directory, 'another'))).toBe(false)
  })

  test('says in words that it can not inspect what a pipe or a device gives', async () => {
    for (const call of ['echo | "$0" "$1" inspect /dev/stdin', '"$0" "$1" inspect /dev/null']) {
      expect(await finished(spawn('sh', ['-c', call, process.execPath, BIN]))).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringContaining('is neither a file nor a directory'),
      })
    }
  })

  test('says nothing when its reader has seen enough', async () => {
    const directory = await storeWith(3000)
    const child = spawn(process.execPath, [BIN, 'cat', directory])
    child.stdout.once('data', () => child.stdout.destroy())
    let stderr = ''
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    const [code] = await once(child, 'close')
    expect([code, stderr]).toEqual([0, ''])
  })

  // A file that may not grow, of which the system says EFBIG, is what a full disk is.
  test.runIf(canLimit).each([
    ['backup', 'DIRECTORY', 'COPY'],
    ['journal', 'DIRECTORY', 'COPY'],
    ['scavenge', 'DIRECTORY'],
    ['import', 'DIRECTORY', 'LINES'],
  ])('says with 1 that the disk is full: %s', async (...words) => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory, { chunkSizeBytes: 500_000 })
    const large = Buffer.alloc(150_000, 1)
    // Three in the first chunk, which is too large for another file, and one in the second.
    for (let i = 0; i < 4; i++) await store.append('large', { type: 'T', data: large })
    await store.erase('large', 0)
    await store.close()
    const lines = join(temporaryDirectory(), 'lines')
    writeFileSync(lines, `${JSON.stringify({ stream: 'large', type: 'T', dataBase64: large.toString('base64') })}\n`)
    const places: Record<string, string> = { DIRECTORY: directory, COPY: join(temporaryDirectory(), 'copy'), LINES: lines }
    const argv = ['--fsize=280000', process.execPath, BIN, ...words.map(word => places[word] ?? word)]
    const { code, stderr } = await finished(spawn('prlimit', argv))
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('EFBIG') })
  })

  test('ends an import in good order on Ctrl-C', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const child = spawn(process.execPath, [BIN, 'import', directory, '-'])
    const end = finished(child)
    for (let i = 0; i < 100; i++) child.stdin.write(`${JSON.stringify({ stream: 's', type: 'T', data: i })}\n`)
    // Once all of them are durable, it waits for more.
    await expect.poll(async () => (await run(['verify', directory])).stdout, { timeout: 20_000 }).toContain('100 events')
    child.kill('SIGINT')
    const { code, stdout, stderr } = await end
    expect({ code, stderr }).toEqual({ code: 130, stderr: '' })
    expect(stdout).toContain('interrupted; 100 events imported')
    expect(stdout).toContain('go on with --from-line 101')
    expect(await eventsOf(directory)).toHaveLength(100)
  })
})
