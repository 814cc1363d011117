/** Appends to more streams than heads are kept of. `npm run bench:cold-heads -- --help`. */
import { medians } from './support/contest-result.ts'
import type { Figures } from './support/figures.ts'
import { secondsOf, whole } from './support/options.ts'
import { outcomeTable } from './support/outcomes.ts'
import { runProgramme, type Table } from './support/programme.ts'
import { runTask } from './support/run-task.ts'
import { withScratch } from './support/scratch.ts'
import { median } from './support/summary.ts'
import { figure } from './support/table.ts'

interface Options {
  readonly streams: number
  readonly eventsPerStream: number
  readonly seconds: number
  readonly rounds: number
}

const HELP = `Appends to 1,000 hot streams beside floor (b), with 4,096 and with 64 in flight; then to many streams in random
order, of which the store keeps the heads of 100,000; then to hot streams with such cold appends beside them, against the
same with a second crowd that is hot too: what the look-ups of the one cost the other. Each measurement in a fresh process.
Durability: fsync.

  --streams N       cold ones (1000000)
  --events N        already in each of them (1)
  --seconds S       measured in each round (3)
  --rounds N        medians are shown (3)
`

const PAYLOAD = 256
const IN_FLIGHT = 4096
const FEW_IN_FLIGHT = 64
/** Each of the two crowds, where there are two. */
const HALF = 1024
const LEAST_OF_FLOOR = 0.9
const COLD_PER_SECOND = 60_000
const LEAST_BESIDE = 0.8

async function run(options: Options, directory: string, say: (line: string) => void): Promise<Table[]> {
  const store = `${directory}/store`
  const { streams, eventsPerStream, seconds } = options
  const fill = { directory: store, streams, eventsPerStream, payloadBytes: PAYLOAD, inFlight: IN_FLIGHT }
  await runTask({ kind: 'fill-store', ...fill }, { timeoutSeconds: 3600, onProgress: say })
  const rounds: { hot: HotRound; fewHot: HotRound; cold: Figures; besideCold: Figures; besideHot: Figures }[] = []
  for (let round = 0; round < options.rounds; round++) {
    const onStore = (second: 'cold' | 'hot', hotInFlight: number, coldInFlight: number) =>
      runTask({
        kind: 'cold-appends',
        ...{ directory: store, streams, payloadBytes: PAYLOAD, hotInFlight, coldInFlight, second, seconds, seed: round + 1 },
      })
    rounds.push({
      hot: await hotAlone(directory, seconds, IN_FLIGHT),
      fewHot: await hotAlone(directory, seconds, FEW_IN_FLIGHT),
      cold: await onStore('cold', 0, IN_FLIGHT),
      besideHot: await onStore('hot', HALF, HALF),
      besideCold: await onStore('cold', HALF, HALF),
    })
    const last = rounds.at(-1)!
    say(
      `[${round + 1}/${options.rounds}] cold ${figure(last.cold['coldPerSecond']!)}/s, hot beside them ${figure(last.besideCold['hotPerSecond']!)}/s`,
    )
  }
  const cold = medians(rounds.map(round => round.cold))
  const besideCold = medians(rounds.map(round => round.besideCold))
  const besideHot = medians(rounds.map(round => round.besideHot))
  const kept = median(rounds.map(round => round.besideCold['hotPerSecond']! / round.besideHot['hotPerSecond']!))
  const { hot, toFloor } = mediansOf(rounds.map(round => round.hot))
  const { hot: fewHot, toFloor: fewToFloor } = mediansOf(rounds.map(round => round.fewHot))
  return [
    outcomeTable(`${figure(streams)} streams, ${PAYLOAD} B`, 'fsync', [
      { what: 'hot: 1,000 streams, 4,096 in flight', value: hot, unit: 'appends/s' },
      { what: 'the same to floor (b)', value: toFloor, unit: 'x', digits: 2, atLeast: LEAST_OF_FLOOR },
      { what: 'hot: 1,000 streams, 64 in flight', value: fewHot, unit: 'appends/s' },
      { what: '64 in flight to floor (b)', value: fewToFloor, unit: 'x', digits: 2, atLeast: LEAST_OF_FLOOR },
      { what: 'cold: at random, 4,096 in flight', value: cold['coldPerSecond']!, unit: 'appends/s', atLeast: COLD_PER_SECOND },
      { what: 'cold: ack p50', value: cold['coldP50Us']! / 1000, unit: 'ms', digits: 1 },
      { what: 'cold: ack p99', value: cold['coldP99Us']! / 1000, unit: 'ms', digits: 1 },
      { what: 'cold: event loop held, at most', value: cold['delayMaxMs']!, unit: 'ms', digits: 1 },
      { what: 'cold: memory growth', value: cold['memoryMiB']!, unit: 'MiB' },
      { what: 'hot with 1,024 hot beside 1,024', value: besideHot['hotPerSecond']!, unit: 'appends/s' },
      { what: 'hot with 1,024 cold beside 1,024', value: besideCold['hotPerSecond']!, unit: 'appends/s' },
      { what: 'the latter to the former', value: kept, unit: 'x', digits: 2, atLeast: LEAST_BESIDE },
      { what: 'hot beside cold: ack p99', value: besideCold['hotP99Us']! / 1000, unit: 'ms', digits: 1 },
    ]),
  ]
}

/** Appends a second of Tailrace and of floor (b), one after the other. */
interface HotRound {
  readonly tailrace: number
  readonly floor: number
}

async function hotAlone(directory: string, seconds: number, inFlight: number): Promise<HotRound> {
  const perSecond = async (subject: string): Promise<number> => {
    const figures = await withScratch(directory, 'hot-', scratch =>
      runTask({
        kind: 'append',
        ...{ subject, directory: scratch, durability: 'fsync', inFlight, payloadBytes: PAYLOAD },
        ...{ streams: 1000, batchEvents: 1, seconds, warmupSeconds: seconds / 2 },
      }),
    )
    return figures['eventsPerSecond']!
  }
  return { tailrace: await perSecond('tailrace'), floor: await perSecond('floor-b') }
}

function mediansOf(rounds: readonly HotRound[]): { hot: number; toFloor: number } {
  return {
    hot: median(rounds.map(({ tailrace }) => tailrace)),
    toFloor: median(rounds.map(({ tailrace, floor }) => tailrace / floor)),
  }
}

await runProgramme<Options>({
  name: 'cold-heads',
  title: 'More streams than heads are kept of',
  help: HELP,
  flags: { streams: '1000000', events: '1', seconds: '3', rounds: '3' },
  optionsOf: values => ({
    streams: whole(values['streams']!, '--streams', 1e8),
    eventsPerStream: whole(values['events']!, '--events', 1000),
    seconds: secondsOf(values['seconds']!),
    rounds: whole(values['rounds']!, '--rounds', 100),
  }),
  run,
})
