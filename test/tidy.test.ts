/**
 * House rules as a test: each finding names file and line. The rules are functions over a map of path and source, so that the test
 * also shows that each of them can fail.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

type Sources = ReadonlyMap<string, string>
type Rule = (sources: Sources) => string[]

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const ENGINE = ['core', 'disk', 'format', 'queue', 'log', 'writer', 'chaser', 'streams', 'scavenge', 'subscriptions', 'store']

/** Who may import whom, besides itself. A name with a file in it allows that file alone. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  core: [],
  disk: ['core'],
  format: ['core'],
  queue: ['core'],
  log: ['core', 'disk', 'format'],
  writer: ['core', 'queue', 'format', 'log'],
  chaser: ['core', 'format', 'log'],
  streams: [
    ...['core', 'disk', 'format', 'log'],
    ...[
      'writer/append-check.ts',
      'writer/lookup.ts',
      'writer/append-terms.ts',
      'writer/stream-head.ts',
      'writer/messages.ts',
      'writer/verdict.ts',
      'chaser/commit-ack.ts',
    ],
  ],
  scavenge: ['core', 'format', 'log', 'streams'],
  subscriptions: ['core', 'log', 'streams', 'chaser/commit-ack.ts'],
  store: ENGINE,
  journals: ['core', 'disk', 'index.ts'],
  models: ['index.ts'],
  server: ['index.ts'],
  cluster: ['index.ts'],
}

const MAX_LINES = 350
const BAD_NAMES = new Set(['utils', 'util', 'common', 'helpers', 'helper', 'types', 'interfaces', 'misc'])
const TIME = /\bDate\.now\s*\(|\bperformance\.now\s*\(|\bsetTimeout\s*\(|\bsetInterval\s*\(|\bnew Date\s*\(\s*\)/g
const MACHINE =
  /(?<![\w.~-])\/(?:home|Users|root|work)\/[\w.-]+|[A-Z]:\\\\?Users|https?:\/\/[\w.-]*(?:registry|artifactory|nexus|verdaccio)[\w.-]*/g

interface Import {
  readonly from: string
  readonly line: number
  readonly isType: boolean
  /** The file, if the import is relative. */
  readonly target: string | null
}

const inFolder = (folder: string) => (path: string) => path.startsWith(`${folder}/`)
const lineOf = (source: string, index: number) => source.slice(0, index).split('\n').length

/** Without comments; every line stays where it is. */
function codeOf(source: string): string {
  const blank = (comment: string) => comment.replace(/[^\n]/g, ' ')
  return source.replace(/\/\*[\s\S]*?\*\//g, blank).replace(/(?<![:'"`\w])\/\/.*$/gm, blank)
}

function importsOf(path: string, source: string): Import[] {
  const found: Import[] = []
  const pattern = /^(?:import|export)\b(\s+type\b)?(?:[^'";]*?\bfrom)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm
  for (const match of codeOf(source).matchAll(pattern)) {
    const from = (match[2] ?? match[3])!
    const target = from.startsWith('.') ? join(path, '..', from).split(sep).join('/') : null
    found.push({ from, line: lineOf(source, match.index), isType: match[1] !== undefined, target })
  }
  return found
}

function eachImport(sources: Sources, find: (path: string, what: Import) => string | null): string[] {
  return [...sources].flatMap(([path, source]) =>
    importsOf(path, source).flatMap(what => {
      const finding = find(path, what)
      return finding === null ? [] : [`${path}:${what.line}: ${finding}`]
    }),
  )
}

const RULES: Readonly<Record<string, Rule>> = {
  'each room imports only what is below it': sources =>
    eachImport(sources, (path, { from, target }) => {
      const [top, room] = path.split('/')
      if (top !== 'src' || path === 'src/index.ts') return null
      if (target === null)
        return from === 'tailrace' || from.startsWith('#engine') ? `src imports through the door: ${from}` : null
      const allowed = ALLOWED[room!]
      if (allowed === undefined) return `src/${room} is no room of the house`
      const inner = target.replace(/^src\//, '')
      const isAllowed = inner.startsWith(`${room}/`) || allowed.some(name => inner === name || inner.startsWith(`${name}/`))
      return target.startsWith('src/') && isAllowed ? null : `${room} may not import ${inner}`
    }),

  'tools and bench come in by the door': sources =>
    eachImport(sources, (path, { target }) => {
      const top = path.split('/')[0]
      if ((top !== 'tools' && top !== 'bench') || target === null) return null
      return target.startsWith(`${top}/`) || !target.startsWith('src/')
        ? null
        : `import 'tailrace' or '#engine/...', not ${target}`
    }),

  'only src/disk knows the file system': sources =>
    eachImport(sources, (path, { from }) =>
      inFolder('src')(path) && !inFolder('src/disk')(path) && /^(node:)?fs(\/promises|-ext)?$/.test(from)
        ? `imports ${from}`
        : null,
    ).concat(findings(sources, path => inFolder('src')(path) && !inFolder('src/disk')(path), /['"]fs-ext['"]/g, 'fs-ext')),

  'pino is a type': sources =>
    eachImport(sources, (path, { from, isType }) =>
      inFolder('src')(path) && from === 'pino' && !isType ? "pino is passed in: 'import type'" : null,
    ),

  'imports go in no circle': sources => circlesOf(sources),

  'relative imports name the file, with .ts': sources =>
    eachImport(sources, (_path, { from, target }) =>
      target !== null && !/\.(ts|json)$/.test(from) ? `'${from}' has no .ts` : null,
    ),

  'the only index.ts is the door': sources =>
    [...sources.keys()]
      .filter(path => /(^|\/)index\.ts$/.test(path) && path !== 'src/index.ts')
      .map(path => `${path}:1: an index.ts`),

  'nothing is named after nothing': sources =>
    [...sources.keys()]
      .filter(path => path.split('/').some(part => BAD_NAMES.has(part.replace(/\..*$/, ''))))
      .map(path => `${path}:1: a name that says nothing`),

  'only the clock knows the time': sources =>
    findings(sources, path => inFolder('src')(path) && path !== 'src/core/clock.ts', TIME, 'the clock is injected'),

  'timers are those of core/timers.ts': sources =>
    findings(
      sources,
      path => inFolder('src')(path) && path !== 'src/core/timers.ts',
      /node:timers\b|\bprocess\.nextTick\b|\bqueueMicrotask\b/g,
      'a test of the embedder may have replaced it',
    ),

  'no file is longer than 350 lines': sources =>
    [...sources]
      .filter(([path, source]) => /^(src|tools)\//.test(path) && source.split('\n').length - 1 > MAX_LINES)
      .map(([path, source]) => `${path}:${MAX_LINES + 1}: ${source.split('\n').length - 1} lines`),

  'each room has a folder of tests': sources => {
    const roomsOf = (top: string) => [...sources.keys()].filter(inFolder(top)).map(path => path.split('/'))
    const tested = new Set(roomsOf('test').map(([, room]) => room))
    const rooms = new Set(roomsOf('src').flatMap(([, room, file]) => (file === undefined ? [] : [room!])))
    return [...rooms].filter(room => !tested.has(room)).map(room => `src/${room}:1: there is no test/${room}`)
  },
}

/** Rules for everything that is committed, whatever it is. */
const COMMITTED_RULES: Readonly<Record<string, Rule>> = {
  'no machine is named': sources =>
    findings(sources, path => path !== 'test/tidy.test.ts', MACHINE, 'a path or host of one machine', false),
  'package-lock.json says no registry': sources =>
    findings(sources, path => path.endsWith('package-lock.json'), /"resolved"/g, 'npm would go where this machine went', false),
  'what a run writes is not committed': sources =>
    [...sources.keys()]
      .filter(path => /\.(log|cpuprofile|heapprofile|heapsnapshot)$/.test(path))
      .map(path => `${path}:1: of a run`),
}

function findings(sources: Sources, isMeant: (path: string) => boolean, pattern: RegExp, why: string, codeOnly = true): string[] {
  return [...sources]
    .filter(([path]) => isMeant(path))
    .flatMap(([path, source]) =>
      [...(codeOnly ? codeOf(source) : source).matchAll(pattern)].map(
        match => `${path}:${lineOf(source, match.index)}: ${match[0].trim()}: ${why}`,
      ),
    )
}

/** Type imports count: a circle of types is a circle of ideas. */
function circlesOf(sources: Sources): string[] {
  const found: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const visit = (path: string, way: readonly string[]): void => {
    if (state.get(path) === 'done' || !sources.has(path)) return
    if (state.get(path) === 'open') {
      const circle = [...way.slice(way.indexOf(path)), path]
      found.push(`${circle.at(-2)}:1: a circle: ${circle.join(' -> ')}`)
      return
    }
    state.set(path, 'open')
    for (const { target } of importsOf(path, sources.get(path)!)) if (target !== null) visit(target, [...way, path])
    state.set(path, 'done')
  }
  for (const path of sources.keys()) visit(path, [])
  return found
}

function filesBelow(folder: string): string[] {
  // The peers of the benches have packages of their own.
  const names = readdirSync(join(ROOT, folder)).filter(name => name !== 'node_modules')
  return names.flatMap(name => {
    const path = `${folder}/${name}`
    return statSync(join(ROOT, path)).isDirectory() ? filesBelow(path) : [path]
  })
}

function theHouse(): Sources {
  const paths = ['src', 'tools', 'bench', 'test'].flatMap(filesBelow).filter(path => path.endsWith('.ts'))
  return new Map(paths.map(path => [path, readFileSync(join(ROOT, path), 'utf8')]))
}

/** Null outside of a git repository. */
function theCommitted(): Sources | null {
  let tracked: string[]
  try {
    tracked = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' }).split('\0')
  } catch {
    return null
  }
  const isThere = (path: string) => path !== '' && statSync(join(ROOT, path), { throwIfNoEntry: false })?.isFile() === true
  const texts = tracked.filter(isThere).map(path => [path, readFileSync(join(ROOT, path), 'utf8')] as const)
  return new Map(texts.filter(([, text]) => !text.includes('\0')))
}

describe('the house is tidy:', () => {
  const house = theHouse()
  test.each(Object.keys(RULES))('%s', name => {
    expect(RULES[name]!(house)).toEqual([])
  })

  const committed = theCommitted()
  test.skipIf(committed === null).each(Object.keys(COMMITTED_RULES))('%s', name => {
    expect(COMMITTED_RULES[name]!(committed!)).toEqual([])
  })
})

/** For each rule: what it must find, and something close to it that is fine. */
const EXAMPLES: readonly [
  rule: string,
  bad: Readonly<Record<string, string>>,
  finding: string,
  good: Readonly<Record<string, string>>,
][] = [
  [
    'each room imports only what is below it',
    { 'src/log/a.ts': "// why\nimport { b } from '../writer/b.ts'\n" },
    'src/log/a.ts:2: log may not import writer/b.ts',
    { 'src/writer/b.ts': "import { a } from '../log/a.ts'\nimport { c } from './c.ts'\nimport x from 'denque'\n" },
  ],
  [
    'each room imports only what is below it',
    { 'src/streams/a.ts': "import type {\n  StorageWriter,\n} from '../writer/storage-writer.ts'\n" },
    'src/streams/a.ts:1: streams may not import writer/storage-writer.ts',
    { 'src/streams/a.ts': "import type { Verdict } from '../writer/verdict.ts'\n" },
  ],
  [
    'each room imports only what is below it',
    { 'src/attic/a.ts': "import { b } from '../core/b.ts'\n" },
    'src/attic/a.ts:1: src/attic is no room of the house',
    { 'src/index.ts': "export { b } from './store/b.ts'\n" },
  ],
  [
    'each room imports only what is below it',
    { 'src/store/a.ts': "const b = await import('tailrace')\n" },
    'src/store/a.ts:1: src imports through the door: tailrace',
    { 'tools/a.ts': "import { EventStore } from 'tailrace'\n" },
  ],
  [
    'tools and bench come in by the door',
    { 'tools/a.ts': "import { b } from '../src/log/b.ts'\n" },
    "tools/a.ts:1: import 'tailrace' or '#engine/...', not src/log/b.ts",
    { 'bench/a.ts': "import { b } from '#engine/log/b.ts'\nimport { c } from './support/c.ts'\n" },
  ],
  [
    'only src/disk knows the file system',
    { 'src/log/a.ts': "import { open } from 'node:fs/promises'\n" },
    'src/log/a.ts:1: imports node:fs/promises',
    { 'src/disk/a.ts': "import fs from 'node:fs'\n", 'tools/a.ts': "import fs from 'node:fs'\n" },
  ],
  [
    'only src/disk knows the file system',
    { 'src/store/a.ts': "\nrequire('fs-ext')\n" },
    "src/store/a.ts:2: 'fs-ext': fs-ext",
    { 'src/disk/a.ts': "createRequire(import.meta.url)('fs-ext')\n" },
  ],
  [
    'pino is a type',
    { 'src/store/a.ts': "import { pino } from 'pino'\n" },
    "src/store/a.ts:1: pino is passed in: 'import type'",
    { 'src/store/a.ts': "import type { Logger } from 'pino'\n", 'tools/a.ts': "import { pino } from 'pino'\n" },
  ],
  [
    'imports go in no circle',
    { 'src/a.ts': "import './b.ts'\n", 'src/b.ts': "import type { C } from './c.ts'\n", 'src/c.ts': "export * from './a.ts'\n" },
    'src/c.ts:1: a circle: src/a.ts -> src/b.ts -> src/c.ts -> src/a.ts',
    { 'src/a.ts': "import './b.ts'\nimport './c.ts'\n", 'src/b.ts': "import './c.ts'\n", 'src/c.ts': "// import './a.ts'\n" },
  ],
  [
    'relative imports name the file, with .ts',
    { 'src/a.ts': "import { b } from './b.js'\n" },
    "src/a.ts:1: './b.js' has no .ts",
    { 'src/a.ts': "import { b } from './b.ts'\nimport json from './b.json'\n" },
  ],
  [
    'the only index.ts is the door',
    { 'src/log/index.ts': '' },
    'src/log/index.ts:1: an index.ts',
    { 'src/index.ts': '', 'src/log/stream-index.ts': '' },
  ],
  [
    'nothing is named after nothing',
    { 'src/core/utils.ts': '' },
    'src/core/utils.ts:1: a name that says nothing',
    { 'src/core/event-types.ts': '', 'src/common-law/a.ts': '' },
  ],
  [
    'nothing is named after nothing',
    { 'test/helpers/disk.ts': '' },
    'test/helpers/disk.ts:1: a name that says nothing',
    { 'test/support/disk.ts': '' },
  ],
  [
    'only the clock knows the time',
    { 'src/log/a.ts': 'const now =\n  Date.now()\n' },
    'src/log/a.ts:2: Date.now(: the clock is injected',
    {
      'src/core/clock.ts': 'setTimeout(f, 1)',
      'src/log/a.ts': '// Date.now()\nsetImmediate(f)\nprocess.nextTick(f)\nnew Date(ms)\n',
    },
  ],
  [
    'timers are those of core/timers.ts',
    { 'src/log/a.ts': 'process.nextTick(f)\n' },
    'src/log/a.ts:1: process.nextTick: a test of the embedder may have replaced it',
    { 'src/core/timers.ts': "import timers from 'node:timers'\n", 'test/a.ts': 'process.nextTick(f)\n' },
  ],
  [
    'no file is longer than 350 lines',
    { 'src/log/a.ts': '\n'.repeat(351) },
    'src/log/a.ts:351: 351 lines',
    { 'src/log/a.ts': '\n'.repeat(350), 'test/log/a.test.ts': '\n'.repeat(900) },
  ],
  [
    'each room has a folder of tests',
    { 'src/log/a.ts': '' },
    'src/log:1: there is no test/log',
    { 'src/log/a.ts': '', 'test/log/b.test.ts': '' },
  ],
  [
    'no machine is named',
    { 'docs/a.md': 'see\n/home/me/tailrace\n' },
    'docs/a.md:2: /home/me: a path or host of one machine: ',
    { 'docs/a.md': 'a/home/b, ./work/x, the /data directory, https://nodejs.org' },
  ],
  [
    'package-lock.json says no registry',
    { 'package-lock.json': '{\n"resolved": "https://x"}' },
    'package-lock.json:2: "resolved": npm would go where this machine went',
    { 'package-lock.json': '{ "integrity": "sha512-x" }', 'docs/a.md': '"resolved"' },
  ],
  [
    'what a run writes is not committed',
    { 'isolate-0x1-2-v8.log': 'v8-version,11,3\n' },
    'isolate-0x1-2-v8.log:1: of a run',
    { 'src/log/chunk-log.ts': '', 'docs/log.md': '' },
  ],
]

describe('the rules can fail:', () => {
  test.each(EXAMPLES)('%s: %o', (name, bad, finding, good) => {
    const rule = (RULES[name] ?? COMMITTED_RULES[name])!
    expect(rule(new Map(Object.entries(bad)))[0]).toContain(finding.replace(/: $/, ''))
    expect(rule(new Map(Object.entries(good)))).toEqual([])
  })

  test('and each of them was shown to', () => {
    const shown = new Set(EXAMPLES.map(([name]) => name))
    expect([...Object.keys(RULES), ...Object.keys(COMMITTED_RULES)].filter(name => !shown.has(name))).toEqual([])
  })
})
