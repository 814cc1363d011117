import { systemErrorCode, TailraceError } from '../../src/core/errors.ts'
import { MIB } from '../../src/core/limits.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { endWithParent, say } from './child-program.ts'

/**
 * Everything a store asks of the system, once: call-script DIRECTORY LIFE. It says `ok STEP` or `err STEP CODE OUTCOME MESSAGE` for each
 * step, whatever happens to the one before, and `end` at the end.
 */
endWithParent()
const [directory, life] = process.argv.slice(2) as [string, string]
/** Of events that were appended, by the name of their append. */
const SIZES: Readonly<Record<string, readonly number[]>> = {
  first: [100],
  second: [3000],
  several: [10, 20, 30],
  large: [1_200_000],
  'next-chunk': [1_200_000],
  after: [100],
  last: [100],
}

async function step(name: string, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    say('ok', name)
    return true
  } catch (error) {
    if (error instanceof TailraceError) say('err', name, error.code, error.outcome, error.message.replaceAll('\n', ' '))
    else if (name === 'scavenge') say('err', name, systemErrorCode(error) ?? '!', 'rejected', String(error))
    else say('!', name, String(error).replaceAll('\n', ' '))
    return false
  }
}

let store: EventStore | null = null
const isOpen = await step('open', async () => {
  store = await EventStore.open(directory, { chunkSizeBytes: 2 * MIB })
})
// Nothing else can be asked for: `store` stays null.
if (isOpen) await useStore(store!)
say('end')
process.exit(0)

async function useStore(open: EventStore): Promise<void> {
  for (const name of Object.keys(SIZES)) {
    await step(`append:${name}`, () => append(open, name))
    // Time for what is done behind the acks: hints, zeros, proofs.
    await new Promise(resolve => setTimeout(resolve, 5))
    if (name === 'several') await step('delete', () => open.delete('deleted'))
    if (name === 'after') await step('scavenge', () => open.scavenge())
  }
  await step('read', async () => {
    let count = 0
    for await (const batch of open.readAll().batches()) count += batch.length
    say('count', count)
  })
  await step('close', () => open.close())
}

async function append(open: EventStore, name: string): Promise<void> {
  const events = SIZES[name]!.map((size, index) => ({
    type: `${life}-${name}-${index}`,
    data: new Uint8Array(size).fill(index + 1),
  }))
  await open.append(name === 'first' || name === 'second' ? 'deleted' : 'kept', events)
}
