import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { EventStore, type NewEvent } from 'tailrace'
import { onTestFinished, vi } from 'vitest'
import { NodeDisk } from '../../src/disk/node-disk.ts'
import { runCommandLine } from '../../tools/command-line.ts'

/** What a command gave back. */
export interface Outcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command line in this process. @param options.gone nobody reads it: `| true`. */
export async function run(
  argv: readonly string[],
  options: { input?: string | Buffer; signal?: AbortSignal; gone?: 'stdout' | 'stderr' } = {},
): Promise<Outcome> {
  const stdout = new Capture(options.gone === 'stdout')
  const stderr = new Capture(options.gone === 'stderr')
  const stdin = new PassThrough()
  if (options.input !== undefined) stdin.end(options.input)
  const signal = options.signal ?? new AbortController().signal
  const status = await runCommandLine(argv, { stdin, stdout, stderr, signal })
  return { status, stdout: stdout.text, stderr: stderr.text }
}

/** The same with --json: what was printed, one value a line. */
export async function runJson<T>(argv: readonly string[]): Promise<{ readonly status: number; readonly values: T[] }> {
  const { status, stdout } = await run([...argv, '--json'])
  return {
    status,
    values: stdout
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line) as T),
  }
}

class Capture extends Writable {
  text = ''
  readonly #isGone: boolean

  constructor(isGone: boolean) {
    super()
    this.#isGone = isGone
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    if (!this.#isGone) this.text += chunk.toString()
    done(this.#isGone ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) : undefined)
  }
}

/** A directory of this test's own. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-tools-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export function event(i: number): NewEvent {
  return { type: i % 2 === 0 ? 'Placed' : 'Shipped', data: { i, text: 'x'.repeat(i % 50) } }
}

/** A closed store of several small chunks: `eventCount` events over three streams, one append each. */
export async function storeWith(eventCount: number, directory = join(temporaryDirectory(), 'store')): Promise<string> {
  const store = await EventStore.open(directory, { chunkSizeBytes: 4096 })
  const acks = Array.from({ length: eventCount }, (_, i) => store.append(`order-${i % 3}`, event(i)))
  await Promise.all(acks)
  await store.close()
  return directory
}

export function chunkNames(directory: string): string[] {
  return readdirSync(directory).filter(name => name.endsWith('.chunk'))
}

export function chunkPath(directory: string, number: number): string {
  return join(directory, `${String(number).padStart(6, '0')}.chunk`)
}

/** Changes the bytes of a file. */
export function edit(path: string, change: (bytes: Buffer) => Buffer | undefined): void {
  const bytes = readFileSync(path)
  writeFileSync(path, change(bytes) ?? bytes)
}

export function flipBit(path: string, offset: number): void {
  edit(path, bytes => {
    bytes[offset]! ^= 0x10
    return undefined
  })
}

/** Of the file, the disk has lost what stands at these offsets, with all of their sectors; until the test ends. */
export function loseSectors(lossy: string, offsets: readonly number[]): void {
  const sectors = offsets.map(offset => Math.floor(offset / SECTOR_SIZE) * SECTOR_SIZE)
  const { open } = NodeDisk.prototype
  const spy = vi.spyOn(NodeDisk.prototype, 'open').mockImplementation(async function (this: NodeDisk, path, mode) {
    const file = await open.call(this, path, mode)
    if (path !== lossy) return file
    const read = file.read.bind(file)
    file.read = async (target, offset) => {
      if (sectors.some(sector => sector < offset + target.length && offset < sector + SECTOR_SIZE)) {
        throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
      }
      return read(target, offset)
    }
    return file
  })
  onTestFinished(() => spy.mockRestore())
}

const SECTOR_SIZE = 4096

/** Up to the first letter of the stream's name: the last byte of a tail that can be told from zeros. */
const TORN_SIZE = 43

/** Puts the beginning of a record behind the last one, as a crash amid a write leaves it. @returns its position and size. */
export function tearTail(directory: string, end: number): { position: number; size: number } {
  const path = chunkPath(directory, chunkNames(directory).length - 1)
  const start = Number(readFileSync(path).readBigUInt64LE(40))
  edit(path, bytes => {
    bytes.copy(bytes, end - start, 128, 128 + TORN_SIZE)
    return undefined
  })
  return { position: end, size: TORN_SIZE }
}

/** Cuts a chunk file behind so many of its records. @returns its new size. */
export function cutBehind(path: string, recordCount: number): number {
  let size = 128
  edit(path, bytes => {
    for (let i = 0; i < recordCount; i++) size += bytes.readUInt32LE(size)
    return bytes.subarray(0, size)
  })
  return size
}

/** Everything in a directory, for seeing whether something was changed. */
export function contentOf(directory: string): Record<string, string> {
  return Object.fromEntries(readdirSync(directory).map(name => [name, readFileSync(join(directory, name), 'base64')]))
}

export function copyChunk(from: string, number: number, to: string): void {
  copyFileSync(chunkPath(from, number), to)
}

/** The events of a store as `cat` prints them, without what an import can't keep. */
export async function eventsOf(directory: string, keepRevisions = true): Promise<Record<string, unknown>[]> {
  const { stdout } = await run(['cat', directory])
  return stdout
    .split('\n')
    .filter(Boolean)
    .map(line => {
      const { position: _position, created: _created, ...rest } = JSON.parse(line) as Record<string, unknown>
      if (!keepRevisions) delete rest['revision']
      return rest
    })
}
