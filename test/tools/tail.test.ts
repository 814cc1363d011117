import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { EventStore } from 'tailrace'
import { describe, expect, onTestFinished, test } from 'vitest'
import { runCommandLine } from '../../tools/command-line.ts'
import { StoreProcess } from '../support/processes.ts'
import { run, storeWith, temporaryDirectory } from './scenes.ts'

const BIN = fileURLToPath(new URL('../../dist/tools/tailrace.js', import.meta.url))

/** A `tailrace tail` in a process of its own. */
class TailProcess {
  readonly child: ChildProcessWithoutNullStreams
  readonly ended: Promise<[code: number | null]>
  output = ''
  complaints = ''

  constructor(...argv: string[]) {
    this.child = spawn(process.execPath, [BIN, 'tail', ...argv])
    this.child.stdout.on('data', (data: Buffer) => {
      this.output += data
    })
    this.child.stderr.on('data', (data: Buffer) => {
      this.complaints += data
    })
    this.ended = once(this.child, 'close') as Promise<[number | null]>
    onTestFinished(() => {
      this.child.kill('SIGKILL')
    })
  }

  get lines(): string[] {
    return this.output.split('\n').slice(0, -1)
  }

  async showed(count: number): Promise<void> {
    await expect
      .poll(() => (this.complaints === '' ? this.lines.length : this.complaints), { timeout: 20_000, interval: 5 })
      .toBeGreaterThanOrEqual(count)
  }

  async end(signal: NodeJS.Signals): Promise<{ code: number | null; complaints: string }> {
    this.child.kill(signal)
    const [code] = await this.ended
    return { code, complaints: this.complaints }
  }
}

/** Runs a tail in this process until it has shown so many lines. */
async function tailed(count: number, ...argv: string[]): Promise<string[]> {
  const stop = new AbortController()
  const stdout = new PassThrough()
  let text = ''
  stdout.on('data', (data: Buffer) => {
    text += data
    if (text.split('\n').length > count) stop.abort()
  })
  const stdin = new PassThrough()
  const status = await runCommandLine(['tail', ...argv], { stdin, stdout, stderr: new PassThrough(), signal: stop.signal })
  expect(status).toBe(0)
  return text.split('\n').slice(0, -1)
}

describe('tail', () => {
  test('shows position, time, stream@revision, type and data', async () => {
    const [first, second] = await tailed(2, await storeWith(5), '--from', 'start')
    expect(first).toMatch(/^\d+ \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} order-0@0 Placed {"i":0,"text":""}$/)
    expect(second).toMatch(/ order-1@0 Shipped {"i":1,"text":"x"}$/)
  })

  test('with --json shows what cat prints', async () => {
    const directory = await storeWith(50)
    const lines = await tailed(50, directory, '--from', 'start', '--json')
    expect(`${lines.join('\n')}\n`).toBe((await run(['cat', directory])).stdout)
  })

  test('sends no control characters of an event to the terminal', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory)
    await store.append('s', [
      { type: 'T', data: new Uint8Array(Buffer.from('\u009b2J\n\u001b[2J')) },
      { type: 'T', data: '\u009b2J\u2028' },
    ])
    await store.close()
    const lines = await tailed(2, directory, '--from', 'start')
    expect(lines).toHaveLength(2)
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f\u0080-\u009f\u2028]/)
  })

  test('begins at a position, or at a revision of a stream', async () => {
    const directory = await storeWith(60)
    const { stdout } = await run(['cat', directory])
    const { position } = JSON.parse(stdout.split('\n')[40]!) as { position: number }
    expect((await tailed(20, directory, '--from', String(position)))[0]).toContain(`${position} `)
    const lines = await tailed(5, directory, '--stream', 'order-1', '--from', '15')
    expect(lines.map(line => / (order-1@\d+) /.exec(line)?.[1])).toEqual(upFrom(15, 5).map(revision => `order-1@${revision}`))
  })

  test.each([
    [['stream=order-1'], 20, /order-1@/],
    [['stream=order-1', 'stream=order-2', 'type=Placed'], 20, /order-[12]@\d+ Placed/],
    [['stream-prefix=order-', 'type-prefix=Sh'], 30, / Shipped /],
  ])('shows only what fits --filter %j', async (filters, count, shape) => {
    const lines = await tailed(count, await storeWith(60), '--from', 'start', ...filters.flatMap(filter => ['--filter', filter]))
    expect(lines).toHaveLength(count)
    for (const line of lines) expect(line).toMatch(shape)
  })

  test.each([
    [['--filter', 'colour=red'], "got 'colour=red'"],
    [['--filter', 'type-prefix=a', '--filter', 'type-prefix=b'], 'can be given once'],
    [['--from', 'now'], '--from must be a whole number'],
  ])('refuses %j', async (options, reason) => {
    expect(await run(['tail', 'x', ...options])).toMatchObject({ status: 2, stderr: expect.stringContaining(reason) })
  })

  test('refuses a store that is not there', async () => {
    expect(await run(['tail', join(temporaryDirectory(), 'none')])).toMatchObject({ status: 2, stdout: '' })
  })

  test('ends with its reader, and says nothing of it', async () => {
    const tail = new TailProcess(await storeWith(3000), '--from', 'start')
    tail.child.stdout.once('data', () => tail.child.stdout.destroy())
    expect([await tail.ended, tail.complaints]).toEqual([[0, null], ''])
  })
})

describe('tail of a store that another process writes', () => {
  // How soon after its ack each is printed: bench/tail-delay.ts.
  test('prints each event that the other process was acknowledged, while it goes on (acceptance 6)', async () => {
    const directory = await storeWith(0)
    const tail = new TailProcess(directory, '--json', '--from', 'start')
    const writer = new StoreProcess(`const store = await EventStore.open('${directory}')
      for (let i = 0; i < 60; i++) {
        await store.append('s', { type: 'T', data: i })
        say('acked', i)
        if (i === 29) await new Promise(resolve => process.stdin.once('data', resolve))
      }
      setInterval(() => {}, 1000)`)
    await writer.said('acked 29')
    await tail.showed(30)
    expect(tail.lines).toHaveLength(30)
    writer.child.stdin.write('on')
    await writer.said('acked 59')
    await tail.showed(60)
    expect(tail.lines.map(line => (JSON.parse(line) as { data: number }).data)).toEqual(upFrom(0, 60))
    await writer.kill()
    expect(await tail.end('SIGINT')).toEqual({ code: 0, complaints: '' })
  })

  test('begins with what comes, and waits for a stream that is not there yet', async () => {
    const directory = await storeWith(10)
    const all = new TailProcess(directory)
    const one = new TailProcess(directory, '--stream', 'new')
    // Nobody says that it is ready: what comes first may come too early.
    const store = await EventStore.open(directory)
    let appended = 0
    while (all.lines.length < 3 || one.lines.length < 3) {
      await store.append('new', { type: 'T', data: appended++ })
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    await store.close()
    for (const line of [...all.lines, ...one.lines]) expect(line).toContain(' new@')
    expect(await all.end('SIGTERM')).toEqual({ code: 0, complaints: '' })
    expect(await one.end('SIGTERM')).toEqual({ code: 0, complaints: '' })
  })

  test('shows each kept event once and in order, over scavenges', async () => {
    const directory = await storeWith(1)
    const tail = new TailProcess(directory, '--json', '--stream', 'kept', '--from', 'start')
    const writer = new StoreProcess(`const store = await EventStore.open('${directory}', { chunkSizeBytes: 4096 })
      for (let turn = 0; turn < 12; turn++) {
        for (let i = 0; i < 25; i++) {
          await store.append('kept', { type: 'T', data: turn * 25 + i })
          await store.append('dead', { type: 'T', data: 'x'.repeat(100) })
        }
        await store.delete('dead')
        await store.scavenge()
      }
      say('freed')
      setInterval(() => {}, 1000)`)
    await writer.said('freed')
    await tail.showed(300)
    expect(tail.lines.map(line => (JSON.parse(line) as { data: number }).data)).toEqual(upFrom(0, 300))
    await writer.kill()
    expect(await tail.end('SIGINT')).toEqual({ code: 0, complaints: '' })
  })

  test('shows each durable event once and in order, over kills, reopens and roll-overs', async () => {
    const directory = await storeWith(1)
    const tail = new TailProcess(directory, '--json', '--from', 'start')
    for (const turn of upFrom(0, 4)) {
      const writer = new StoreProcess(`const store = await EventStore.open('${directory}', { chunkSizeBytes: 4096 })
        let acked = 0
        for (let i = 0; ; i++) await store.append('s-' + (i % 5), { type: 'T', data: { turn: ${turn}, i } }).then(() => say('acked', ++acked))`)
      await writer.said(`acked ${100 + 50 * turn}`)
      await writer.kill()
    }
    // What is durable shows itself fully once somebody has opened the store for writing.
    await (await EventStore.open(directory)).close()
    const { stdout } = await run(['cat', directory])
    await tail.showed(stdout.split('\n').length - 1)
    expect(tail.output).toBe(stdout)
    expect(await tail.end('SIGINT')).toEqual({ code: 0, complaints: '' })
  })
})

function upFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index)
}
