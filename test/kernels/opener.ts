import { EventStore } from '../../src/store/event-store.ts'
import { endWithParent, say } from './child-program.ts'

/** Opens a store and says how long that took, in ms and in ms of processors: opener DIRECTORY CHUNK_SIZE. */
endWithParent()
const [directory, chunkSize] = process.argv.slice(2)
const startedMs = performance.now()
const startedUsage = process.cpuUsage()
const store = await EventStore.open(directory!, { chunkSizeBytes: Number(chunkSize) })
const ms = performance.now() - startedMs
const { user, system } = process.cpuUsage(startedUsage)
say(
  'open',
  ms.toFixed(1),
  ((user + system) / 1000).toFixed(1),
  store.recovery.events,
  store.recovery.scannedBytes,
  String(store.recovery.clean),
)
await store.close()
process.exit(0)
