import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc')

const STRICT = {
  target: 'es2022',
  lib: ['es2022'],
  module: 'nodenext',
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  declaration: true,
  rootDir: '.',
  outDir: 'out',
}

/** A project that has the package as npm installs it. */
let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-types-'))
  const modules = join(directory, 'node_modules')
  mkdirSync(join(modules, 'tailrace'), { recursive: true })
  for (const name of ['pino', '@types']) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  copyFileSync(join(ROOT, 'package.json'), join(modules, 'tailrace/package.json'))
  tsc(ROOT, '-p', 'src', '--emitDeclarationOnly', '--outDir', join(modules, 'tailrace/dist'))
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ type: 'module' }))
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: STRICT, files: ['program.ts'] }))
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

function tsc(cwd: string, ...args: string[]): void {
  expect(spawnSync(process.execPath, [TSC, ...args], { cwd, encoding: 'utf8' }).stdout).toBe('')
}

/** @returns its declarations, if the compiler has nothing to say. */
function compiled(program: string): string {
  writeFileSync(join(directory, 'program.ts'), program)
  tsc(directory, '-p', '.')
  return readFileSync(join(directory, 'out/program.d.ts'), 'utf8')
}

test('what every call answers can stand in the declarations of a package, without a word on its type', () => {
  const declarations = compiled(`
    import { EventStore } from 'tailrace'
    import { Journals } from 'tailrace/journals'
    const store = await EventStore.inMemory()
    export const reads = [store.readStream('s'), store.readAll(), store.streams()]
    export const batches = [store.readStream('s').batches(), store.subscribe().batches()]
    export const acks = [await store.append('s', []), await store.commit([]), await store.delete('s')]
    export const transaction = store.transaction('s')
    export const followers = [store.subscribe(), store.consumer('c'), store.entity('s', () => 1)]
    export const group = store.group('g')
    export const member = group.join()
    export const message = await member.next()
    export const projection = store.project({ name: 'p', initial: { n: 0 }, when: ({ n }, { type }) => ({ n: n + type.length }) })
    export const topic = store.topic('t')
    export const records = [topic.read(0), topic.group('g').join(), topic.produce({ value: 1 }), topic.group('g').lag()]
    export const numbers = [await store.metadata('s'), store.stats(), store.recovery, await store.head('s'), store.lastPosition]
    export const care = [store.scavenge, store.backup, store.setMetadata]
    export const journals = await Journals.open(store, 'j')
    export const report = await Journals.verify(store, 'j')
  `)
  expect(declarations).toContain('AnyEvent')
})

test.each([
  ['a pino instance', 'pino()'],
  ['one with levels of its own', 'pino({ customLevels: { audit: 35 } })'],
  ['a child of one', "pino().child({ part: 'store' })"],
])('the store takes a logger: %s', (_name, logger) => {
  compiled(`
    import { pino } from 'pino'
    import { EventStore } from 'tailrace'
    export const store = await EventStore.inMemory({ logger: ${logger} })
  `)
})

test('what is internal is not in the declarations: it takes types that the package does not export', () => {
  compiled(`
    import { EventStore } from 'tailrace'
    import { Journals } from 'tailrace/journals'
    export const store: Record<keyof typeof EventStore, 1> = { open: 1, inMemory: 1, prototype: 1 }
    export const journals: Record<keyof typeof Journals, 1> = { open: 1, verify: 1, prototype: 1 }
  `)
})
