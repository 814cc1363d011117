import type { Profiler } from 'node:inspector'
import { describe, expect, it } from 'vitest'
import { type ProfileLine, sumByPlace } from '../../bench/support/cpu-profile.ts'

/** A profile in which each of these functions was seen for so many milliseconds. */
function seen(...functions: readonly (readonly [name: string, url: string, ms: number])[]): Profiler.Profile {
  const nodes = functions.map(([functionName, url], index) => ({
    id: index + 1,
    callFrame: { functionName, url, scriptId: '0', lineNumber: 0, columnNumber: 0 },
  }))
  const samples = nodes.map(node => node.id)
  return { nodes, startTime: 0, endTime: 0, samples, timeDeltas: functions.map(([, , ms]) => ms * 1000) }
}

const places = (lines: readonly ProfileLine[]) => Object.fromEntries(lines.map(({ place, share }) => [place, share]))

describe('a profile of the main thread', () => {
  it('is told by the rooms of the engine, by packages, and by what V8 did itself, without what loads code', () => {
    const lines = sumByPlace(
      seen(
        ['encodeAppend', 'file:///somewhere/dist/writer/append-encoding.js', 30],
        ['frame', 'file:///somewhere/dist/format/record-encoding.js', 20],
        ['append', 'file:///somewhere/bench/support/closed-loop.ts', 10],
        ['push', 'file:///somewhere/node_modules/denque/index.js', 5],
        ['crc32', 'node:zlib', 5],
        ['load', 'node:internal/modules/esm/loader', 500],
        ['(garbage collector)', '', 10],
        ['(idle)', '', 10],
        ['writeBuffer', '', 10],
      ),
    )
    expect(places(lines)).toEqual({
      'src/writer': 0.3,
      'src/format': 0.2,
      'the bench': 0.1,
      denque: 0.05,
      'Node.js': 0.05,
      'garbage collection': 0.1,
      waiting: 0.1,
      'native code': 0.1,
    })
    expect(lines[0]).toEqual({ place: 'src/writer', share: 0.3, most: [{ name: 'encodeAppend', share: 0.3 }] })
  })

  it('names the three functions that took the most of a place', () => {
    const url = 'file:///somewhere/dist/log/chunk-log.js'
    const [line] = sumByPlace(seen(['a', url, 10], ['b', url, 40], ['c', url, 20], ['d', url, 30]))
    expect(line!.most.map(({ name }) => name)).toEqual(['b', 'd', 'c'])
  })

  it('leaves out what took less than half a hundredth', () => {
    const lines = sumByPlace(seen(['long', 'file:///dist/log/a.js', 999], ['short', 'file:///dist/chaser/b.js', 1]))
    expect(lines.map(({ place }) => place)).toEqual(['src/log'])
  })
})
