import { systemClock } from '#engine/core/clock.ts'
import { systemFailure } from '#engine/core/system-failure.ts'
import { NodeDisk } from '#engine/disk/node-disk.ts'
import { type BackupResult, backupLog } from '#engine/log/backup.ts'
import { type Command, checkCount, ExitStatus, parseArguments } from './arguments.ts'
import { closeSnapshot, type LogSnapshot, openSnapshot } from './log-snapshot.ts'
import { makeTarget } from './new-directory.ts'
import { bytesText, complain, count, printResult, type Terminal } from './output.ts'
import { Progress } from './progress.ts'
import { checkDirectory } from './survey/store-survey.ts'

export const backup: Command = {
  name: 'backup',
  summary: 'copy a store, also while it is in use',
  help: `Usage: tailrace backup <store> <directory> [--json]

Copies the log of a store into a new directory, and verifies every byte on the way. Takes no lock and writes
nothing into the store; another process may write it, scavenge it, be killed. The copy opens as a store of
its own, as after a crash; its index is made again by its first open.

Of a store that another process has open, the copy has everything that was flushed when the backup began, as
far as the flushed hint says so: acks of the last milliseconds may be missing (with durability 'os' those of the
last second). A program that needs all of them calls store.backup() itself. Of any other store, the copy has all.

  --json     the result as a JSON object
  --help     this text

Exit status: 0 the copy is complete, 1 the store is damaged, or the disk is full, 2 wrong usage, or no such
store, 130 interrupted. Without 0 there is no store in the directory.

Examples:
  tailrace backup ./data ./backups/monday
  tailrace backup ./data ./copy --json | jq .position
`,

  async run(argv: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parseArguments(argv, { json: { type: 'boolean' } })
    checkCount(positionals, ['store', 'directory'])
    const [directory, target] = positionals as [string, string]
    const startedMs = systemClock.monotonic()
    await checkDirectory(directory)
    const disk = new NodeDisk()
    const snapshot = await openSnapshot(disk, directory)
    let copied: BackupResult
    try {
      await makeTarget(disk, directory, target)
      copied = await copySnapshot(disk, snapshot, target, terminal).catch(async (error: unknown) => {
        await complain(terminal, `tailrace backup: the copy in ${target} is not complete; remove it`)
        throw error
      })
    } finally {
      await closeSnapshot(snapshot)
    }
    const { holderPid } = snapshot
    const ms = Math.round(systemClock.monotonic() - startedMs)
    const result = { store: directory, copy: target, ...copied, holderPid, ms }
    await printResult(terminal, values.json, result, resultLines(result))
    return ExitStatus.fine
  },
}

async function copySnapshot(
  disk: NodeDisk,
  { log, end }: LogSnapshot,
  target: string,
  { signal, stderr }: Terminal,
): Promise<BackupResult> {
  const progress = new Progress(stderr, null)
  try {
    return await backupLog(disk, log.chunks, end, target, {
      signal,
      onProgress: ({ bytesCopied, bytesTotal }) =>
        progress.update(bytesCopied, () => `of ${bytesText(bytesTotal)} copied to ${target}`),
    })
  } catch (error) {
    throw systemFailure(error, target, 'copied to')
  } finally {
    progress.clear()
  }
}

function* resultLines(result: BackupResult & { copy: string; holderPid: number | null; ms: number }): Iterable<string> {
  const { copy, chunks, bytes, position, holderPid, ms } = result
  yield `${count(chunks, 'chunk')}, ${bytesText(bytes)} copied to ${copy} in ${(ms / 1000).toFixed(1)} s; the copy ends at ${position}`
  if (holderPid !== null)
    yield `process ${holderPid} has the store open: what it was acknowledged in the last moments may be missing`
}
