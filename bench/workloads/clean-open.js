/**
 * Opens a store, closes it, and opens it again, in a process that does nothing else: no loader of TypeScript beside it, no watch,
 * no logger. At these times each of them would be seen.
 *
 * Usage: node clean-open.js DIRECTORY   (prints the milliseconds of both opens as JSON)
 */
import { EventStore } from 'tailrace'

const SETTLE_MS = 100

const directory = process.argv[2]
await new Promise(resolve => setTimeout(resolve, SETTLE_MS))
const openMs = await timeOfOpen()
// By now V8 has compiled most of what an open needs: the first one of a process compiles while it works.
const againMs = await timeOfOpen()
process.stdout.write(JSON.stringify({ openMs, againMs }))

async function timeOfOpen() {
  const startedAt = performance.now()
  const store = await EventStore.open(directory)
  const ms = performance.now() - startedAt
  await store.close()
  return ms
}
