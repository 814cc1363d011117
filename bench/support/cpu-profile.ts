import type { Profiler } from 'node:inspector'
import { Session } from 'node:inspector/promises'

/** Where a part of the event loop's time went. */
export interface ProfileLine {
  /** A room of the engine, a package, Node.js itself, or one of V8's own: garbage collection, native code, waiting. */
  readonly place: string
  /** Of all the time that was looked at; 1 is all of it. */
  readonly share: number
  /** The functions that took the most of it, each with its own share of all the time. */
  readonly most: readonly { readonly name: string; readonly share: number }[]
}

/** Less than this is not worth a line, nor a name in a line. */
const LEAST_SHARE = 0.005
const NAMES_IN_LINE = 3
const SAMPLING_INTERVAL_US = 200

/** V8's words for where no function runs. */
const OWN_PLACES: Readonly<Record<string, string>> = {
  '(idle)': 'waiting',
  '(garbage collector)': 'garbage collection',
  '(program)': 'native code',
  '(root)': 'native code',
}

/** Performs the work and tells where the time of this thread goes meanwhile. */
export async function profiled<Result>(perform: () => Promise<Result>): Promise<{ result: Result; lines: ProfileLine[] }> {
  const session = new Session()
  session.connect()
  try {
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL_US })
    await session.post('Profiler.start')
    const result = await perform()
    const { profile } = await session.post('Profiler.stop')
    return { result, lines: sumByPlace(profile) }
  } finally {
    session.disconnect()
  }
}

/** What each place took by itself, the largest first. What loads code is left out: it is no part of the work. */
export function sumByPlace({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): ProfileLine[] {
  const frames = new Map(nodes.map(node => [node.id, node.callFrame]))
  const places = new Map<string, Map<string, number>>()
  let whole = 0
  samples.forEach((id, index) => {
    const frame = frames.get(id)!
    const place = placeOf(frame)
    if (place === null) return
    const names = places.get(place) ?? new Map<string, number>()
    places.set(place, names)
    const name = frame.functionName || '(anonymous)'
    names.set(name, (names.get(name) ?? 0) + timeDeltas[index]!)
    whole += timeDeltas[index]!
  })
  const sum = (names: Map<string, number>) => [...names.values()].reduce((total, time) => total + time, 0)
  return [...places]
    .map(([place, names]) => ({ place, share: sum(names) / whole, most: mostOf(names, whole) }))
    .filter(({ share }) => share >= LEAST_SHARE)
    .sort((a, b) => b.share - a.share)
}

function mostOf(names: Map<string, number>, whole: number): ProfileLine['most'] {
  return [...names]
    .map(([name, time]) => ({ name, share: time / whole }))
    .filter(({ name, share }) => share >= LEAST_SHARE && !(name in OWN_PLACES))
    .sort((a, b) => b.share - a.share)
    .slice(0, NAMES_IN_LINE)
}

function placeOf({ functionName, url }: { readonly functionName: string; readonly url: string }): string | null {
  if (url === '') return OWN_PLACES[functionName] ?? 'native code'
  if (url.startsWith('node:')) return /^node:internal\/(modules|bootstrap|main)/.test(url) ? null : 'Node.js'
  const library = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]
  if (library !== undefined) return library
  if (url.includes('/bench/')) return 'the bench'
  const room = /\/(?:dist|src)\/([^/]+)\/[^/]+$/.exec(url)?.[1]
  return room === undefined ? 'elsewhere' : `src/${room}`
}
