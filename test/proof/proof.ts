import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HELP, type ProofOptions, parseOptions } from './options.ts'
import { durationOf, writeReport } from './report.ts'
import { currentCommit, describeMachine, type Results, type RigResult, readResults, writeResults } from './results.ts'
import type { Rig } from './rig.ts'
import { allRigs, type Need, needOf } from './rigs.ts'

/** `npm run proof`: runs the rigs, one that needs the processors beside one that needs the disk. */
async function main(): Promise<number> {
  const rigs = await allRigs()
  let options: ProofOptions | 'help'
  try {
    options = parseOptions(process.argv.slice(2))
  } catch (error) {
    say(`${(error as Error).message}\n\n${HELP}`)
    return 2
  }
  if (options === 'help') {
    console.log(`${HELP}\n\nRigs:\n${rigs.map(({ name, about }) => `  ${name.padEnd(16)} ${about}`).join('\n')}`)
    return 0
  }
  const { only } = options
  const unknown = only.filter(name => !rigs.some(rig => rig.name === name))
  if (unknown.length > 0) {
    say(`no rig is called ${unknown.join(', ')}; there are ${rigs.map(rig => rig.name).join(', ')}`)
    return 2
  }
  const isWanted = (rig: Rig) => only.length === 0 || only.includes(rig.name)
  const results = await runAll(rigs.filter(isWanted), rigs, options)
  if (options.isJson) console.log(JSON.stringify(results, null, 2))
  return summarize(results)
}

async function runAll(wanted: readonly Rig[], rigs: readonly Rig[], options: ProofOptions): Promise<Results> {
  const results: Results = {}
  const earlier = options.isResumed ? readResults() : {}
  const lane = async (need: Need) => {
    for (const rig of wanted) {
      if (needOf(rig) !== need || isKnown(earlier[rig.name], options)) continue
      const result = await run(rig, options)
      results[rig.name] = result
      // At once: a long run may be cut.
      if (options.isWritten) keep(rig.name, result, rigs)
    }
  }
  await Promise.all([lane('processors'), lane('disk')])
  await lane('everything')
  return results
}

function isKnown(result: RigResult | undefined, { isQuick, seed }: ProofOptions): boolean {
  if (result?.status !== 'held' || result.seed !== seed || result.isQuick !== isQuick) return false
  return result.commit === currentCommit() && !result.commit.endsWith('+')
}

async function run(rig: Rig, { isQuick, seed }: ProofOptions): Promise<RigResult> {
  const base = { about: rig.about, isQuick, seed, commit: currentCommit(), date: today(), machine: describeMachine() }
  const reason = await rig.unavailable()
  if (reason !== null) {
    say(`SKIPPED: ${rig.name}: ${reason}`)
    return { ...base, status: 'skipped', reason, seconds: 0 }
  }
  const tell = (line: string) => say(`${rig.name.padEnd(14)} ${line}`)
  tell(rig.about)
  const directory = mkdtempSync(join(tmpdir(), `tailrace-proof-${rig.name}-`))
  const startedMs = performance.now()
  const elapsed = () => (performance.now() - startedMs) / 1000
  const progress = (line: string, share = 0) => {
    const left = share > 0.01 && share < 1 ? `, ${durationOf((elapsed() / share) * (1 - share))} left` : ''
    tell(`${elapsed().toFixed(0).padStart(5)} s  ${line}${left}`)
  }
  try {
    const report = await rig.run({ isQuick, seed, directory }, progress)
    const seconds = elapsed()
    for (const [what, figure] of Object.entries(report.figures)) tell(`${what}: ${format(figure)}`)
    for (const failure of report.failures) tell(`BROKEN: ${failure}`)
    tell(`${report.failures.length === 0 ? 'held' : `${report.failures.length} broken promises`} in ${seconds.toFixed(1)} s`)
    return { ...base, status: report.failures.length === 0 ? 'held' : 'broken', report, seconds }
  } catch (error) {
    tell(`BROKEN: the rig itself failed: ${String((error as Error).stack)}`)
    const report = { figures: {}, failures: [`the rig itself failed: ${(error as Error).message}`] }
    return { ...base, status: 'broken', report, seconds: elapsed() }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function keep(name: string, result: RigResult, rigs: readonly Rig[]): void {
  const results = { ...readResults(), [name]: result }
  writeResults(results)
  writeReport(results, rigs)
}

function summarize(results: Results): number {
  const of = (status: RigResult['status']) => Object.entries(results).filter(([, result]) => result.status === status)
  for (const [name, { reason }] of of('skipped')) say(`SKIPPED: ${name}: ${reason}`)
  for (const [name, { report }] of of('broken')) say(`BROKEN: ${name}: ${report?.failures.length} promises`)
  say(`${of('held').length} rigs held, ${of('broken').length} broken, ${of('skipped').length} skipped`)
  return of('broken').length === 0 ? 0 : 1
}

function format(figure: number | string): string {
  return typeof figure === 'number' ? figure.toLocaleString('en') : figure
}

function today(): string {
  return new Date().toISOString().slice(0, 10)
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

process.exitCode = await main()
