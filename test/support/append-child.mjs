// Appends until it is killed, and tells of each ack on its standard output as soon as it has it.
// node append-child.mjs DIRECTORY SEED STREAM_COUNT CHUNK_SIZE
import { EventStore } from 'tailrace'

const [directory, seed, streamCount, chunkSizeBytes] = process.argv
  .slice(2)
  .map((word, index) => (index === 0 ? word : Number(word)))

// The same as in kill-9.test.ts: what an event says depends on nothing but these three numbers.
function payloadOf(stream, k) {
  const bytes = new Uint8Array((k * 37 + stream * 11) % 600)
  for (let index = 0; index < bytes.length; index++) bytes[index] = seed * 31 + stream * 17 + k * 7 + index * 13
  return bytes
}

async function fill(store, stream) {
  let k = ((await store.head(`stream-${stream}`)) ?? -1) + 1
  const waiting = []
  for (;;) {
    // Now and then three events at once; and up to four appends of each stream in flight.
    const count = k % 5 === 0 ? 3 : 1
    const events = Array.from({ length: count }, (_, index) => ({ type: `t-${k + index}`, data: payloadOf(stream, k + index) }))
    const ack = store.append(`stream-${stream}`, events, { expectedRevision: k === 0 ? 'no_stream' : k - 1 })
    waiting.push(ack.then(told => process.stdout.write(`${stream} ${told.firstRevision} ${count} ${told.position}\n`)))
    k += count
    if (waiting.length >= 4) await waiting.shift()
  }
}

const store = await EventStore.open(directory, { chunkSizeBytes })
process.stdout.write('open\n')
await Promise.all(Array.from({ length: streamCount }, (_, stream) => fill(store, stream)))
