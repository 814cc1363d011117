import { EventStore } from 'tailrace'
import { DEFAULT_CHUNK_SIZE } from '#engine/core/limits.ts'
import { NodeDisk } from '#engine/disk/node-disk.ts'
import { type Command, checkCount, ExitStatus, parseArguments, UsageError } from './arguments.ts'
import { makeTarget } from './new-directory.ts'
import { complain, count, printResult, type Terminal } from './output.ts'
import { Progress } from './progress.ts'
import type { LostRevisions } from './revision-losses.ts'
import { Salvage, type SalvageReport } from './salvage.ts'
import { damageText } from './survey/damage.ts'
import { type StoreSurvey, surveyStore } from './survey/store-survey.ts'
import { verboseLogger } from './verbose-logger.ts'
import { jsonReport, verifyStore } from './verify.ts'

const SHOWN_COUNT = 100

export const repair: Command = {
  name: 'repair',
  summary: 'copy what is whole of a damaged store into a new one',
  help: `Usage: tailrace repair --accept-loss <store> <copy>

Writes a salvaged copy of a damaged store into a new directory; the original is only read. Every append that
is whole is appended to the copy, in its order; stream, type, data, metadata and id of an event stay the same.
So do retention, deletion and requests to erase.
What changes: positions, creation times, and, behind lost events of a stream, revisions, which have no gaps in
the copy. Says what was lost, and verifies the copy in the end. Without damage it makes a plain copy.

  --accept-loss   without it, nothing is done
  --json          the result as a JSON object
  --verbose       the log of the engine on stderr
  --help          this text

Exit status: 0 the copy is whole, whatever was lost; 1 it is not; 2 wrong usage, or nothing could be done.

Examples:
  tailrace repair --accept-loss ./data ./salvaged
  tailrace repair --accept-loss ./data ./salvaged --json | jq .changedStreams
`,

  async run(argv: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parseArguments(argv, {
      'accept-loss': { type: 'boolean' },
      json: { type: 'boolean' },
      verbose: { type: 'boolean' },
    })
    checkCount(positionals, ['store', 'copy'])
    const [directory, target] = positionals as [string, string]
    const disk = new NodeDisk()
    const store = await surveyStore(disk, directory)
    if (values['accept-loss'] !== true) {
      throw new UsageError(
        `would copy what is whole of ${directory} into ${target} and leave out what is damaged; to do so, add --accept-loss`,
      )
    }
    await makeTarget(disk, directory, target)
    const report = await salvageInto(disk, store, target, values.verbose, terminal)
    const copy = await surveyStore(disk, target)
    const verification = await verifyStore(disk, copy, terminal)
    const result = { store: directory, copy: target, ...report, verification: jsonReport(copy, verification) }
    await printResult(terminal, values.json, result, reportLines(directory, target, report, verification.damageCount))
    return verification.damageCount === 0 ? ExitStatus.fine : ExitStatus.damage
  },
}

async function salvageInto(
  disk: NodeDisk,
  store: StoreSurvey,
  target: string,
  isVerbose: boolean | undefined,
  terminal: Terminal,
): Promise<SalvageReport> {
  // As large as the largest: every append that fitted there fits here.
  const sizes = store.chunks.map(({ head }) => head.header?.chunkSize ?? 0)
  const chunkSizeBytes = Math.max(...sizes, 0) || DEFAULT_CHUNK_SIZE
  const totalSize = store.chunks.reduce((sum, chunk) => sum + chunk.size, 0)
  const progress = new Progress(terminal.stderr, totalSize)
  const copy = await EventStore.open(target, { chunkSizeBytes, logger: verboseLogger(isVerbose, terminal) })
  try {
    const onProgress = (size: number): void => progress.update(size, () => `copying to ${target}`)
    return await new Salvage(disk, store, copy, chunkSizeBytes, terminal.signal, onProgress).run()
  } catch (error) {
    progress.clear()
    await complain(terminal, `tailrace repair: the copy in ${target} is not complete; remove it`)
    throw error
  } finally {
    progress.clear()
    await copy.close()
  }
}

function* reportLines(directory: string, target: string, report: SalvageReport, copyDamages: number): Iterable<string> {
  const { appends, events, streams, lost, lostCount, changedStreams } = report
  yield `${count(events, 'event')} of ${count(streams, 'stream')} copied from ${directory} to ${target}, in ${count(appends, 'append')}`
  yield 'positions and creation times are those of the copy; stream, type, data, metadata and order are as they were'
  yield report.changedIds === 0 ? 'all ids are as they were' : `${count(report.changedIds, 'event')} got another id`
  if (report.settings > 0) yield `retention, deletion and erasure are as they were, of ${count(report.settings, 'stream')}`
  if (report.systemEvents > 0)
    yield `${count(report.systemEvents, 'event')} of consumers, groups and projections left out: their positions are not those of the copy`
  if (report.repeatedEvents > 0) yield `${count(report.repeatedEvents, 'event')} left out that stood in the log before`
  if (lostCount === 0) yield 'nothing was lost'
  else yield `lost in ${count(lostCount, 'place')}:`
  for (const damage of lost.slice(0, SHOWN_COUNT)) yield `  ${damageText(damage)}`
  if (lostCount > SHOWN_COUNT) yield `  and ${lostCount - SHOWN_COUNT} more places`
  if (report.droppedEvents > 0) yield `${count(report.droppedEvents, 'event')} left out because their append is not whole`
  const why = lostCount === 0 ? 'of which a scavenge had dropped events' : 'with lost events'
  if (changedStreams.length > 0) yield `${count(changedStreams.length, 'stream')} ${why}:`
  for (const stream of changedStreams.slice(0, SHOWN_COUNT)) yield `  ${changeText(stream)}`
  if (changedStreams.length > SHOWN_COUNT) yield `  and ${changedStreams.length - SHOWN_COUNT} more streams; --json lists all`
  yield copyDamages === 0
    ? 'the copy was verified: nothing is damaged'
    : `the copy has ${count(copyDamages, 'damage')}: see tailrace verify`
}

function changeText({ stream, lost, keptCount }: LostRevisions): string {
  const gaps = lost.map(({ from, to }) => (from === to ? `${from}` : `${from} to ${to}`)).join(', ')
  let shift = 0
  const moves: string[] = []
  for (const { from, to } of lost) {
    shift += to - from + 1
    moves.push(`what was revision ${to + 1} is now ${to + 1 - shift}`)
  }
  const last = lost.at(-1)!
  const isOne = lost.length === 1 && last.from === last.to
  // Nothing follows a loss at the end.
  if (keptCount + shift <= last.to + 1) moves.pop()
  return `'${stream}': lost ${isOne ? 'revision' : 'revisions'} ${gaps}; ${count(keptCount, 'event')} kept${moves.length === 0 ? '' : `; ${moves.join(', ')}`}`
}
