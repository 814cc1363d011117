/**
 * Tailrace beside its floors and its peers: `npm run bench -- --help`.
 *
 * The numbers to keep are the ratios of what took turns in the same run; the rest depends on the machine.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { planSeeds } from './seeds/seed-contests.ts'
import { BENCH_HELP, type BenchOptions, commandText, parseBenchOptions } from './support/bench-options.ts'
import { renderBenchPage, sectionTitle } from './support/bench-page.ts'
import { type BenchReport, notesOf, profileTables, runNotes, tableHead, tableRows } from './support/bench-report.ts'
import { type RunResult, runBench, runContests } from './support/bench-run.ts'
import { scaled } from './support/data-set.ts'
import { benchSections, updateDocs } from './support/docs-page.ts'
import { runGrowth } from './support/growth-run.ts'
import { lookAtMachine, MEMORY_FILESYSTEM } from './support/machine.ts'
import { UsageError } from './support/options.ts'
import { withRunScratch } from './support/scratch.ts'
import type { SubjectDescription } from './support/subject.ts'
import { PEERS } from './support/subjects.ts'
import { layOut } from './support/table.ts'

const say = (line: string) => console.error(line)

async function run(options: BenchOptions, command: string, directory: string): Promise<BenchReport> {
  const startedAt = new Date()
  const machine = lookAtMachine(directory)
  if (machine.filesystem === MEMORY_FILESYSTEM) say('Note: the data is on a memory file system; a sync costs nothing there.')
  const { peers, absent } = choosePeers(options.against)
  for (const line of absent) say(line)
  const { contests, limits } = options.isSeeds
    ? await runSeeds(options, directory)
    : await runWorkloads(options, directory, peers)
  return {
    benchmark: options.isSeeds ? 'seeds' : 'bench',
    command,
    startedAt: startedAt.toISOString(),
    seconds: (Date.now() - startedAt.getTime()) / 1000,
    machine,
    rounds: options.rounds,
    limits,
    contests,
    absent,
  }
}

async function runWorkloads(options: BenchOptions, directory: string, peers: readonly SubjectDescription[]): Promise<RunResult> {
  const { rounds, seconds, workloads } = options
  const ofOneSize = workloads.filter(workload => workload !== 'W7')
  const results: RunResult[] = []
  if (ofOneSize.length > 0) {
    const dataSet = scaled(options.scale)
    results.push(
      await runBench({ workloads: ofOneSize, peers, rounds, seconds, isQuick: options.quick, dataSet, directory, say }),
    )
  }
  if (workloads.includes('W7')) results.push(await runGrowth({ scales: options.growth, rounds, seconds, directory, say }))
  return { contests: results.flatMap(result => result.contests), limits: results[0]!.limits }
}

/** A programme takes as long as it takes, so each is run once, and they are not compared with anyone. */
function runSeeds({ rounds, seconds, scale }: BenchOptions, directory: string): Promise<RunResult> {
  return runContests({ rounds, seconds, directory, say }, inScratch => planSeeds({ scale, seconds, inScratch, say }))
}

function choosePeers(names: readonly string[]): { peers: SubjectDescription[]; absent: string[] } {
  const asked = PEERS.filter(peer => names.includes(peer.name)).flatMap(peer => peer.variants)
  const absent = asked.flatMap(variant => {
    const why = variant.absent()
    return why === null ? [] : [`Without ${variant.name}: ${why}`]
  })
  return { peers: asked.filter(variant => variant.absent() === null), absent }
}

function print(report: BenchReport): void {
  for (const note of runNotes(report)) console.log(note)
  for (const result of report.contests) {
    console.log(`\n${sectionTitle(result.workload)} · ${result.shape}\n${layOut(tableHead(result), tableRows(result))}`)
    for (const note of notesOf(result)) console.log(note)
    for (const { title, head, rows } of profileTables(result)) console.log(`\n${title}\n${layOut(head, rows)}`)
  }
}

async function save(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
  say(`Wrote ${file}`)
}

try {
  const args = process.argv.slice(2)
  const options = parseBenchOptions(args)
  if (options.help) {
    process.stdout.write(BENCH_HELP)
  } else {
    const report = await withRunScratch(options.directory, 'bench-data-', directory => run(options, commandText(args), directory))
    print(report)
    await save(options.json, `${JSON.stringify(report, null, 2)}\n`)
    await save(options.html, renderBenchPage(report))
    if (options.docs !== null) {
      await updateDocs(options.docs, benchSections(report))
      say(`Wrote ${options.docs}`)
    }
  }
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
