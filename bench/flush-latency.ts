/**
 * How long does an append wait for its ack, and how many are acked? `npm run bench:flush -- --help`.
 *
 * Each cell runs in a fresh process (support/cell.ts); the engine and its floor take turns, so that a machine that slows
 * down slows down both. The numbers to keep are the ratios; the rest depends on the machine.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type CellResult, type CellSpec, type Load, type Subject, WRITE_SYNC_LOAD } from './support/cells.ts'
import { STREAM_COUNT } from './support/closed-loop.ts'
import { renderFlushPage } from './support/flush-page.ts'
import { FLUSH_TABLE_HEAD, type FlushReport, flushNotes, flushTableRow } from './support/flush-report.ts'
import { describeMachine, lookAtMachine, MEMORY_FILESYSTEM } from './support/machine.ts'
import { FLUSH_LATENCY_HELP, type FlushLatencyOptions, parseFlushLatencyOptions, UsageError } from './support/options.ts'
import { describeCell, runCell } from './support/run-cell.ts'
import { withRunScratch } from './support/scratch.ts'
import { type CellRound, type Round, summarise } from './support/summary.ts'
import { figure, layOut } from './support/table.ts'

type Measure = (subject: Subject, load: Load) => Promise<CellResult>

async function run(options: FlushLatencyOptions, directory: string): Promise<FlushReport> {
  const startedAt = new Date().toISOString()
  const machine = lookAtMachine(directory)
  if (machine.filesystem === MEMORY_FILESYSTEM)
    console.error('Note: the data is on a memory file system; a sync costs nothing there.')
  const measure = measureInTurn(options, directory)
  const rounds: Round[] = []
  for (let index = 0; index < options.rounds; index++) rounds.push(await runRound(index, options.loads, measure))
  const { quick, seconds, warmupSeconds } = options
  const settings = { quick, rounds: options.rounds, seconds, warmupSeconds, streams: STREAM_COUNT }
  return { benchmark: 'flush-latency', startedAt, machine, settings, ...summarise(rounds), rounds }
}

async function runRound(index: number, loads: readonly Load[], measure: Measure): Promise<Round> {
  const writeSync = await measure('write-sync', WRITE_SYNC_LOAD)
  const cells: CellRound[] = []
  for (const [place, load] of loads.entries()) {
    // Who goes first changes from cell to cell and from round to round: going second may be worth something.
    if ((place + index) % 2 === 0) {
      const tailrace = await measure('tailrace', load)
      cells.push({ load, tailrace, groupCommit: await measure('group-commit', load) })
    } else {
      const groupCommit = await measure('group-commit', load)
      cells.push({ load, tailrace: await measure('tailrace', load), groupCommit })
    }
  }
  return { writeSync, cells }
}

/** Measures one cell after the other and says on stderr how it goes. */
function measureInTurn({ warmupSeconds, seconds, loads, rounds }: FlushLatencyOptions, directory: string): Measure {
  const total = rounds * (1 + 2 * loads.length)
  const startedAt = performance.now()
  let done = 0
  return async (subject, load) => {
    const spec: CellSpec = { subject, ...load, warmupSeconds, seconds, directory: join(directory, `cell-${done}`) }
    const result = await runCell(spec)
    done++
    const secondsLeft = ((performance.now() - startedAt) / 1000 / done) * (total - done)
    console.error(
      `[${done}/${total}] ${describeCell(spec)}: ${figure(result.acksPerSecond)} acks/s, p50 ${figure(result.latency.p50Us)} µs` +
        ` (${figure(secondsLeft)} s left)`,
    )
    return result
  }
}

function printTable(report: FlushReport): void {
  console.log(`Flush latency · ${describeMachine(report.machine)}`)
  for (const note of flushNotes(report)) console.log(note)
  console.log(`\n${layOut(FLUSH_TABLE_HEAD, report.cells.map(flushTableRow))}`)
}

async function save(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
  console.error(`Wrote ${file}`)
}

try {
  const options = parseFlushLatencyOptions(process.argv.slice(2))
  if (options.help) {
    process.stdout.write(FLUSH_LATENCY_HELP)
  } else {
    const report = await withRunScratch(options.directory, 'flush-latency-data-', directory => run(options, directory))
    printTable(report)
    await save(options.json, `${JSON.stringify(report, null, 2)}\n`)
    await save(options.html, renderFlushPage(report))
  }
} catch (error) {
  console.error(`bench:flush: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
