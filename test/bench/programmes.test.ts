import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runBench } from './run-bench.ts'

const TIMEOUT_MS = 300_000

/** Each in its smallest form, and something that stands in what it prints only when all its steps were done. */
const PROGRAMMES = [
  { name: 'streams-scale', args: ['--events', '4000', '--streams', '400'], last: /^index made again/m },
  { name: 'cold-heads', args: ['--streams', '500', '--rounds', '1', '--seconds', '0.05'], last: /^hot beside cold/m },
  { name: 'reads', args: ['--scale', '0.001', '--rounds', '1', '--seconds', '0.05'], last: /^scan of/m },
  {
    name: 'scavenge',
    args: ['--events', '2000', '--streams', '20', '--seconds', '0.1', '--backups', '2'],
    last: /^append p99 meanwhile/m,
  },
  { name: 'limit', args: ['--rounds', '1', '--seconds', '0.05'], last: /^promises/m },
]

describe.each(PROGRAMMES)('bench:$name', ({ name, args, last }) => {
  const program = `bench/${name}.ts`
  let directory: string

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tailrace-bench-'))
  })

  afterEach(() => rm(directory, { recursive: true, force: true }))

  it(
    'measures, and removes its data',
    async () => {
      const { code, stdout, stderr } = await runBench(program, ...args, '--directory', directory)
      expect(code, stderr).toBe(0)
      expect(stdout).toMatch(last)
      expect(stdout).not.toMatch(/NaN|Infinity|undefined/)
      expect(await readdir(directory)).toEqual([])
    },
    TIMEOUT_MS,
  )

  it('says what it can do', async () => {
    const { code, stdout } = await runBench(program, '--help')
    expect(code).toBe(0)
    expect(stdout).toContain(`npm run bench:${name}`)
    for (const flag of args.filter(arg => arg.startsWith('--'))) expect(stdout).toContain(flag)
  })

  it('says in one line what is wrong with an option, and exits with 2', async () => {
    const { code, stdout, stderr } = await runBench(program, '--nope')
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(new RegExp(`^bench:${name}: [^\\n]+\\n$`))
  })
})

it(
  'a programme writes its section into a page, and its figures as JSON',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tailrace-bench-'))
    const [json, docs] = [join(directory, 'result.json'), join(directory, 'page.md')]
    const args = ['--events', '1000', '--streams', '10', '--seconds', '0.1', '--backups', '0']
    const { code, stderr } = await runBench(
      'bench/scavenge.ts',
      ...args,
      '--directory',
      directory,
      '--json',
      json,
      '--docs',
      docs,
    )
    expect(code, stderr).toBe(0)
    expect(JSON.parse(await readFile(json, 'utf8'))).toMatchObject({ programme: 'scavenge' })
    const page = await readFile(docs, 'utf8')
    expect(page).toContain('<!-- measured: scavenge -->')
    expect(page).not.toContain(directory)
    await rm(directory, { recursive: true, force: true })
  },
  TIMEOUT_MS,
)
