import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterEach, beforeEach, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')

/** Opens a store, in the main thread and then in one beside it, and is refused the one that is open already. */
const PROGRAM = `
import { Worker, isMainThread } from 'node:worker_threads'
import { EventStore } from 'tailrace'
const [, , directory, program] = process.argv
const run = async () => {
  const store = await EventStore.open(directory + (isMainThread ? '/a' : '/b'))
  const locked = await EventStore.open(directory + '/a').catch(error => error.code)
  console.log(isMainThread, (await store.append('s', { type: 'T', data: 1 })).lastRevision, locked)
  if (isMainThread) await new Promise(resolve => new Worker(program, { argv: [directory] }).on('exit', resolve))
  await store.close()
}
run()
`

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-bundle-'))
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

test.each([
  ['esm', 'store.mjs'],
  ['cjs', 'store.cjs'],
] as const)('an engine that is bundled into one file (%s) finds the package that locks, in a thread, too', async (format, name) => {
  const program = join(directory, name)
  await build({
    stdin: { contents: PROGRAM, resolveDir: ROOT },
    alias: { tailrace: join(ROOT, 'src/index.ts') },
    bundle: true,
    platform: 'node',
    format,
    outfile: program,
    logLevel: 'error',
  })
  const { stdout } = await promisify(execFile)(process.execPath, [program, directory, program])
  expect(stdout.split('\n')).toEqual(['true 0 STORE_LOCKED', 'false 0 STORE_LOCKED', ''])
})
