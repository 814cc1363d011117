import { EventStore, type RecordedEvent } from 'tailrace'
import { wholeNumber } from './arguments.ts'
import { Output, type Terminal } from './output.ts'
import { checkDirectory } from './survey/store-survey.ts'
import { verboseLogger } from './verbose-logger.ts'

/** Opens a store for reading, lets `work` have it, and closes it. @throws UsageError when there is no directory. */
export async function readStore<T>(
  directory: string,
  isVerbose: boolean | undefined,
  terminal: Terminal,
  work: (store: EventStore) => Promise<T>,
): Promise<T> {
  await checkDirectory(directory)
  const store = await EventStore.open(directory, { readOnly: true, logger: verboseLogger(isVerbose, terminal) })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/** What `--from`, `--backwards` and the option for the number of events say, as a store takes it. @throws UsageError */
export function readOptions(
  { from, backwards }: { readonly from?: string | undefined; readonly backwards?: boolean | undefined },
  countOption: { readonly name: string; readonly value: string | undefined },
  { signal }: Terminal,
) {
  return {
    from: from === undefined ? undefined : wholeNumber(from, 'from', 0),
    maxCount: countOption.value === undefined ? undefined : wholeNumber(countOption.value, countOption.name, 0),
    direction: backwards === true ? 'backwards' : 'forwards',
    signal,
  } as const
}

/** Prints one event a line. @param isLive each batch is handed over at once: somebody is watching. */
export async function printEvents(
  batches: AsyncIterable<readonly RecordedEvent[]>,
  format: (event: RecordedEvent) => string,
  terminal: Terminal,
  isLive = false,
): Promise<void> {
  await printing(terminal, async output => {
    for await (const batch of batches) {
      for (const event of batch) {
        output.line(format(event))
        if (output.isFull) await output.flush()
      }
      terminal.signal.throwIfAborted()
      if (isLive) await output.flush()
    }
  })
}

/** Prints lines as they come, in pieces. */
export async function printLines(lines: AsyncIterable<string>, terminal: Terminal): Promise<void> {
  await printing(terminal, async output => {
    for await (const line of lines) {
      output.line(line)
      if (!output.isFull) continue
      await output.flush()
      terminal.signal.throwIfAborted()
    }
  })
}

/** What was there before `work` failed is printed, too: of a damaged store, everything up to the damage. */
async function printing(terminal: Terminal, work: (output: Output) => Promise<void>): Promise<void> {
  const output = new Output(terminal.stdout)
  try {
    await work(output)
  } catch (error) {
    await output.flush().catch(() => {})
    throw error
  }
  await output.flush()
}
