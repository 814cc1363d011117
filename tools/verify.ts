import { NodeDisk } from '#engine/disk/node-disk.ts'
import { type Command, checkCount, ExitStatus, parseArguments } from './arguments.ts'
import { bytesText, count, printResult, type Terminal } from './output.ts'
import { Progress } from './progress.ts'
import { type Damage, damageText } from './survey/damage.ts'
import type { IndexReport } from './survey/index-comparison.ts'
import { idText, type StoreSurvey, surveyStore } from './survey/store-survey.ts'
import { StoreVerification, type VerificationReport } from './survey/store-verification.ts'

const SHOWN_DAMAGES = 100

export const verify: Command = {
  name: 'verify',
  summary: 'check every byte of a store',
  help: `Usage: tailrace verify <store> [--json]

Reads every byte of a store and checks it: headers, footers, block checksums, every record of every
chunk, the chain of chunks, the revisions of every stream, that every append is whole, and what the
flushed hint says. Takes no lock and writes nothing; the store may be in use.

Index files are read, too, and compared with the log, event by event. They are derived from it: one that is
damaged, stale or missing is made again by the store itself. Only one that reads well and says something
else than the log must be removed by hand.

A torn tail is what a crash leaves behind the last durable append; in flight is what a process is
writing right now. Neither is damage.

  --json     one JSON object
  --help     this text

Exit status: 0 the log is whole, 1 it is damaged, 2 there is no such store, 3 the log is whole, but an index file
says something else.

Examples:
  tailrace verify ./data
  tailrace verify ./data --json | jq .damages
`,

  async run(argv: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parseArguments(argv, { json: { type: 'boolean' } })
    checkCount(positionals, ['store'])
    const disk = new NodeDisk()
    const store = await surveyStore(disk, positionals[0]!)
    const report = await verifyStore(disk, store, terminal)
    await printResult(terminal, values.json, jsonReport(store, report), reportLines(store, report))
    if (report.damageCount > 0) return ExitStatus.damage
    return report.indexFiles.some(({ state }) => state === 'contradicts the log') ? ExitStatus.wrongIndex : ExitStatus.fine
  },
}

/** Verifies with a progress bar. */
export async function verifyStore(disk: NodeDisk, store: StoreSurvey, terminal: Terminal): Promise<VerificationReport> {
  const totalSize = store.chunks.reduce((sum, chunk) => sum + chunk.size, 0)
  const progress = new Progress(terminal.stderr, totalSize)
  const verification = new StoreVerification(disk, store, terminal.signal, (size, indexFile) =>
    progress.update(size, () => indexFile ?? store.directory),
  )
  try {
    return await verification.run()
  } finally {
    progress.clear()
  }
}

/** The report as one JSON value. */
export function jsonReport(store: StoreSurvey, report: VerificationReport): Record<string, unknown> {
  const { directory, storeId, holderPid, hint } = store
  const id = storeId === null ? null : idText(storeId)
  return { store: directory, id, holderPid, hinted: hint?.position ?? null, ...report }
}

function* reportLines(store: StoreSurvey, report: VerificationReport): Iterable<string> {
  const { directory, storeId, holderPid } = store
  yield `${directory}: ${storeId === null ? 'a store whose id is lost' : `store ${idText(storeId)}`}${holderPid === null ? '' : `, open in process ${holderPid}`}`
  const { chunkCount, eventCount, streamCount, verifiedSize, end, tail } = report
  yield `${count(chunkCount, 'chunk')}, ${count(eventCount, 'event')} in ${count(streamCount, 'stream')}, ${bytesText(verifiedSize)}; the log ends at ${end}`
  if (tail !== null) {
    const why = tail.kind === 'in flight' ? 'being written' : 'left by a crash and never acknowledged; the next open removes them'
    yield `${tail.kind}: ${tail.file}: position ${tail.position}, ${tail.size} bytes: ${why}`
  }
  yield* indexLines(report.indexFiles)
  for (const note of report.notes) yield `note: ${note}`
  yield* damageLines(report.damages, report.damageCount)
}

/** Index files are derived from the log: what is wrong with them is no damage of the store. */
function* indexLines(files: readonly IndexReport[]): Iterable<string> {
  const whole = files.filter(({ state }) => state === 'whole').length
  if (whole > 0) yield `${count(whole, 'index file')}: whole, and as the log says`
  for (const { file, state, what } of files) {
    if (what !== null) yield `index file ${file}: ${state}: ${what}`
  }
}

function* damageLines(damages: readonly Damage[], damageCount: number): Iterable<string> {
  if (damageCount === 0) {
    yield 'nothing is damaged'
    return
  }
  yield `${count(damageCount, 'damage')}:`
  for (const damage of damages.slice(0, SHOWN_DAMAGES)) yield `  ${damageText(damage)}`
  if (damageCount > SHOWN_DAMAGES) yield `  and ${damageCount - SHOWN_DAMAGES} more; --json lists up to ${damages.length}`
  yield '`tailrace inspect` shows what stands there; `tailrace repair` copies what is whole into a new store'
}
