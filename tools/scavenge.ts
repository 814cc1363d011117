import { EventStore, StoreLockedError } from 'tailrace'
import { systemClock } from '#engine/core/clock.ts'
import { NodeDisk } from '#engine/disk/node-disk.ts'
import type { ScavengeProgress, ScavengeResult } from '#engine/scavenge/scavenger.ts'
import { type Command, checkCount, ExitStatus, parseArguments, UsageError } from './arguments.ts'
import { bytesText, count, printResult, type Terminal } from './output.ts'
import { Progress } from './progress.ts'
import { surveyStore } from './survey/store-survey.ts'
import { verboseLogger } from './verbose-logger.ts'

export const scavenge: Command = {
  name: 'scavenge',
  summary: 'free the room of events that are gone',
  help: `Usage: tailrace scavenge <store> [options]

Opens the store for writing, completes its last chunk, and rewrites the chunks without the events that retention,
deletion and erasure have given up; afterwards no byte of an erased event is left. Positions and revisions
stay. Interrupted at any moment it loses nothing, and the same command goes on. A store that another
process has open is scavenged by that process: store.scavenge().

  --json      the result as a JSON object
  --verbose   the log of the engine on stderr
  --help      this text

Exit status: 0 done, 1 the store is damaged, or the disk is full, 2 wrong usage, no such store, or open in another
process, 130 interrupted.

Examples:
  tailrace scavenge ./data
  tailrace scavenge ./data --json | jq .bytesFreed
`,

  async run(argv: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parseArguments(argv, { json: { type: 'boolean' }, verbose: { type: 'boolean' } })
    checkCount(positionals, ['store'])
    const directory = positionals[0]!
    const startedMs = systemClock.monotonic()
    const store = await openForScavenge(directory, values.verbose, terminal)
    let work: ScavengeWork
    try {
      work = await scavengeStore(store, directory, terminal)
    } finally {
      await store.close()
    }
    const ms = Math.round(systemClock.monotonic() - startedMs)
    await printResult(terminal, values.json, { store: directory, ...work, ms }, resultLines(directory, work, ms))
    return work.interrupted ? ExitStatus.interrupted : ExitStatus.fine
  },
}

/** What is known when it was interrupted, and what is known when it was not. */
type ScavengeWork = Pick<ScavengeResult, 'chunksRead' | 'bytesFreed'> &
  Partial<ScavengeResult> & { readonly interrupted: boolean }

/** @throws UsageError when there is no store, or another process has it: opening would make one, and waiting would not help. */
async function openForScavenge(directory: string, isVerbose: boolean | undefined, terminal: Terminal): Promise<EventStore> {
  const { chunks } = await surveyStore(new NodeDisk(), directory)
  // A new chunk begins: it gets the size that the store has.
  const chunkSizeBytes = chunks.at(-1)?.head.header?.chunkSize
  try {
    return await EventStore.open(directory, { chunkSizeBytes, logger: verboseLogger(isVerbose, terminal) })
  } catch (error) {
    if (!(error instanceof StoreLockedError)) throw error
    const holder = error.pid === null ? 'another process' : `process ${error.pid}`
    throw new UsageError(`${directory} is open in ${holder}: close it there, or have it call store.scavenge()`)
  }
}

async function scavengeStore(store: EventStore, directory: string, { signal, stderr }: Terminal): Promise<ScavengeWork> {
  const progress = new Progress(stderr, null)
  let last: ScavengeProgress | null = null
  try {
    const onProgress = (now: ScavengeProgress): void => {
      last = now
      progress.update(now.bytesFreed, () => `freed; chunk ${now.chunk} of ${now.chunks} of ${directory}`)
    }
    return { ...(await store.scavenge({ signal, onProgress })), interrupted: false }
  } catch (error) {
    if (!signal.aborted) throw error
    const { chunk, bytesFreed } = (last as ScavengeProgress | null) ?? { chunk: 0, bytesFreed: 0 }
    return { chunksRead: chunk, bytesFreed, interrupted: true }
  } finally {
    progress.clear()
  }
}

function* resultLines(directory: string, work: ScavengeWork, ms: number): Iterable<string> {
  const { chunksRead, bytesFreed, chunksReplaced, eventsKept, eventsDropped, interrupted } = work
  const where = `in ${count(chunksRead, 'chunk')} of ${directory}, in ${(ms / 1000).toFixed(1)} s`
  yield `${interrupted ? 'interrupted; ' : ''}${bytesText(bytesFreed)} freed ${where}`
  if (interrupted) yield 'what was freed stays so; the same command goes on'
  if (eventsKept === undefined || eventsDropped === undefined || chunksReplaced === undefined) return
  yield `${count(eventsDropped, 'event')} dropped, ${eventsKept} kept; ${count(chunksReplaced, 'chunk')} rewritten`
}
