import { CHUNK_HEADER_SIZE } from '../../src/format/chunk-header.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { endWithParent, say } from './child-program.ts'

/**
 * Fills the active chunk nearly up to its end, says `full COUNT`, and goes on with appends one by one until it is killed:
 * filler DIRECTORY DATA_SIZE CHUNK_SIZE.
 */
endWithParent()
const [directory, dataSize, chunkSizeBytes] = process.argv.slice(2).map((word, index) => (index === 0 ? word : Number(word))) as [
  string,
  number,
  number,
]
/** What is left stays for the appends until the kill. */
const FULL_SHARE = 0.97
const STREAM_COUNT = 1000
const IN_FLIGHT = 512

const store = await EventStore.open(directory, { chunkSizeBytes })
const data = new Uint8Array(dataSize).fill(7)
let count = 0
const append = () => store.append(`stream-${count++ % STREAM_COUNT}`, { type: 'filled', data })
while (store.lastPosition < FULL_SHARE * chunkSizeBytes - CHUNK_HEADER_SIZE - IN_FLIGHT * (dataSize + 100)) {
  await Promise.all(Array.from({ length: Math.max(1, Math.min(IN_FLIGHT, Math.floor((1 << 20) / dataSize))) }, append))
}
say('full', count)
for (;;) await append()
