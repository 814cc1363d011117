import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bundle } from '../support/bundle.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-few-descriptors-'))
  symlinkSync(join(import.meta.dirname, '../../node_modules'), join(directory, 'node_modules'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

const SIZES = { events: 800, streams: 40, chunkSizeBytes: 64 * 1024 }

/** Makes a store of more chunks than the process may have descriptors; then opens, reads, fills, scavenges and copies it. */
const NEEDY = `
import { readdirSync } from 'node:fs'
import { EventStore } from 'tailrace'
const [, , directory] = process.argv
const { events, streams, chunkSizeBytes } = ${JSON.stringify(SIZES)}
const data = { text: 'x'.repeat(12_000) }
const append = (store, i) => store.append('stream-' + (i % streams), { type: 'Noted', data })
const countOf = async reading => {
  let count = 0
  for await (const _ of reading) count++
  return count
}
const made = await EventStore.open(directory, { chunkSizeBytes })
for (let i = 0; i < events; i++) await append(made, i)
await made.close()
const chunks = readdirSync(directory).filter(name => name.endsWith('.chunk')).length
const store = await EventStore.open(directory, { chunkSizeBytes })
const all = await countOf(store.readAll())
const ofStreams = await Promise.all(Array.from({ length: streams }, (_, i) => countOf(store.readStream('stream-' + i))))
await Promise.all(Array.from({ length: streams }, (_, i) => append(store, i)))
await store.scavenge()
await store.backup(directory + '-copy')
await store.close()
console.log(JSON.stringify({ chunks, all, ofStreams: ofStreams.reduce((a, b) => a + b) }))
`

test('a store of more chunks than the process may have descriptors is opened and used', async () => {
  const program = join(directory, 'needy.mjs')
  await bundle(NEEDY, 'esm', program)
  const few = ['-c', 'ulimit -n 120 && exec "$0" "$@"', process.execPath, program, join(directory, 'store')]
  const { stdout } = await promisify(execFile)('sh', few)
  const said = JSON.parse(stdout) as { chunks: number; all: number; ofStreams: number }
  expect(said.chunks).toBeGreaterThan(150)
  expect(said).toMatchObject({ all: SIZES.events, ofStreams: SIZES.events })
})
