// Appends until it is killed, and tells of each ack on its standard output as soon as it has it.
// node append-child.mjs DIRECTORY SEED STREAM_COUNT CHUNK_SIZE LARGEST_SIZE
import { EventStore } from 'tailrace'

const [directory, seed, streamCount, chunkSizeBytes, largestSize] = process.argv
  .slice(2)
  .map((word, index) => (index === 0 ? word : Number(word)))

// The same as in kill-9.test.ts: what an event says depends on nothing but these numbers.
function payloadOf(stream, k) {
  const size = k % 16 === 7 ? (k * 104_729 + stream * 7919) % largestSize : (k * 37 + stream * 11) % 600
  return Buffer.alloc(size, `${seed} ${stream} ${k} `)
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
