import { describe, expect, test } from 'vitest'
import type { DiskFile } from '../../src/disk/disk.ts'
import type { DiskContent } from '../../src/disk/memory-disk.ts'
import { CrashModel, type CrashOptions, type CrashState, powerCut } from './crash-states.ts'
import { Random } from './random.ts'
import { SimulatedDisk } from './simulated-disk.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text))
const text = (content: DiskContent, path: string) => Buffer.from(content.get(path)!).toString('latin1')

const NO_DAMAGE: CrashOptions = { damagedPerSubset: 0, sampleLimit: 0 }

/** Runs a workload on a disk with one durable file, 'log', and gives all states that a crash can leave. */
async function statesOf(
  initial: string,
  workload: (disk: SimulatedDisk) => Promise<void>,
  options: CrashOptions = NO_DAMAGE,
): Promise<CrashState[]> {
  const disk = new SimulatedDisk({ content: new Map([['log', bytes(initial)]]) })
  await workload(disk)
  return [...new CrashModel(disk, options).states()]
}

const sorted = (content: DiskContent) => [...content].sort(([one], [other]) => (one < other ? -1 : 1))
const logsOf = (states: CrashState[]) => [...new Set(states.map(state => text(state.disk.snapshot(), 'log')))].sort()
const namesOf = (states: CrashState[]) =>
  [...new Set(states.map(state => [...state.disk.snapshot().keys()].sort().join(' ')))].sort()

describe('crash states', () => {
  test('of a workload that did nothing: what was there', async () => {
    const states = await statesOf('old', async () => {})
    expect(logsOf(states)).toEqual(['old'])
    expect(states).toHaveLength(1)
  })

  test('of a write within a sector: old and new, also before the write has returned', async () => {
    const states = await statesOf('old', async disk => {
      await (await disk.open('log', 'write')).write(bytes('new'), 0)
    })
    expect(logsOf(states)).toEqual(['new', 'old'])
    expect(states.map(state => state.point)).toEqual([0, 1])
  })

  test('of two writes without a sync: none, either or both', async () => {
    const states = await statesOf('----', async disk => {
      const file = await disk.open('log', 'write')
      await file.write(bytes('AA'), 0)
      await file.write(bytes('BB'), 2)
    })
    expect(logsOf(states)).toEqual(['----', '--BB', 'AA--', 'AABB'])
  })

  test('of two writes with a datasync between: never the second without the first', async () => {
    const states = await statesOf('----', async disk => {
      const file = await disk.open('log', 'write')
      await file.write(bytes('AA'), 0)
      await file.datasync()
      await file.write(bytes('BB'), 2)
    })
    expect(logsOf(states)).toEqual(['----', 'AA--', 'AABB'])
  })

  test('of a write over three sectors: each sector old or new', async () => {
    const states = await statesOf('-'.repeat(1536), async disk => {
      await (await disk.open('log', 'write')).write(new Uint8Array(1034).fill(0x41), 502)
    })
    const patterns = logsOf(states).map(log => [log[502], log[512], log[1024]].join(''))
    expect(patterns.sort()).toEqual(['---', '--A', '-A-', '-AA', 'A--', 'A-A', 'AA-', 'AAA'])
  })

  test('of an append: the growth lost, or kept with or without the bytes', async () => {
    const states = await statesOf('old', async disk => {
      await (await disk.open('log', 'write')).write(bytes('new'), 3)
    })
    expect(logsOf(states)).toEqual(['old', 'old\0\0\0', 'oldnew'])
  })

  test('of an append over sectors: the growth can stop at a sector boundary', async () => {
    const states = await statesOf(
      'x'.repeat(500),
      async disk => {
        await (await disk.open('log', 'write')).write(new Uint8Array(2000).fill(0x41), 500)
      },
      {},
    )
    const sizes = new Set(states.map(state => state.disk.snapshot().get('log')!.length))
    expect(sizes.has(500) && sizes.has(2500) && sizes.size > 2).toBe(true)
    for (const size of sizes) expect(size === 500 || size === 2500 || size % 512 === 0).toBe(true)
  })

  test('of a truncation and an append without a sync: the truncation can be lost alone', async () => {
    const states = await statesOf('abcdef', async disk => {
      const file = await disk.open('log', 'write')
      await file.truncate(2)
      await file.write(bytes('XY'), 2)
    })
    expect(logsOf(states)).toEqual(['ab', 'ab\0\0', 'abXY', 'abXYef', 'abcdef'])
  })

  test('of a durable write in flight: old or new; when it has returned: new', async () => {
    const states = await statesOf('old', async disk => {
      const file = await disk.open('log', 'write')
      await file.writeDurably(bytes('new'), 0)
      disk.mark('acked')
    })
    expect(logsOf(states)).toEqual(['new', 'old'])
    expect(logsOf(states.filter(state => state.marks.length === 1))).toEqual(['new'])
  })

  test('of a rename: old or new, never none and never both', async () => {
    const states = await statesOf('old', async disk => {
      const file = await disk.open('log.tmp', 'create')
      await file.write(bytes('new'), 0)
      await file.datasync()
      await disk.syncDirectory('.')
      await disk.rename('log.tmp', 'log')
      disk.mark('renamed')
    })
    const after = states.filter(state => state.marks.length === 1)
    expect(logsOf(after)).toEqual(['new', 'old'])
    expect(namesOf(after)).toEqual(['log', 'log log.tmp'])
  })

  test('of a rename before the bytes were synced: the new name with nothing behind it', async () => {
    const states = await statesOf('old', async disk => {
      const file = await disk.open('log.tmp', 'create')
      await file.write(bytes('new'), 0)
      await disk.rename('log.tmp', 'log')
    })
    expect(logsOf(states)).toEqual(['', '\0\0\0', 'new', 'old'])
  })

  test('of changes of names without a directory sync: each lost alone', async () => {
    const states = await statesOf('old', async disk => {
      await disk.open('a', 'create')
      await disk.open('b', 'create')
      await disk.remove('log')
      disk.mark('done')
    })
    expect(namesOf(states.filter(state => state.marks.length === 1))).toHaveLength(8)
  })

  test('of a new directory: without it nothing in it', async () => {
    const states = await statesOf('old', async disk => {
      const held = disk.hold('makeDirectory')
      const making = disk.makeDirectory('a/b')
      await held.reached
      held.release()
      await making
      await disk.open('a/b/new', 'create')
    })
    expect(namesOf(states)).toEqual(['a/ log', 'a/b/ log', 'a/b/new log', 'log'])
  })

  test('after a failed datasync: the bytes can be gone for ever, whatever was synced since', async () => {
    const states = await statesOf('----', async disk => {
      const file = await disk.open('log', 'write')
      await file.write(bytes('AA'), 0)
      disk.failNext({ op: 'datasync', error: 'EIO' })
      await file.datasync().catch(() => {})
      await file.write(bytes('BB'), 2)
      await file.datasync()
      disk.mark('acked')
    })
    expect(logsOf(states.filter(state => state.marks.length === 1))).toEqual(['--BB', 'AABB'])
  })
})

describe('a damaged sector', () => {
  const write = async (disk: SimulatedDisk) => (await disk.open('log', 'write')).write(bytes('NEWNEWNEW'), 4)

  test('is old, new, zeros, garbage, or part new and part old', async () => {
    const logs = logsOf(await statesOf('old old old old ', write, {}))
    expect(logs).toContain('old old old old ')
    expect(logs).toContain('old NEWNEWNEWld ')
    expect(logs).toContain('old \0\0\0\0\0\0\0\0\0ld ')
    expect(logs).toHaveLength(5)
  })

  test('is damaged only where the write was: the neighbours in the sector are intact', async () => {
    for (const log of logsOf(await statesOf('old old old old ', write, {}))) {
      expect(log.slice(0, 4) + log.slice(13)).toBe('old ld ')
    }
  })

  test('keeps durable bytes that were written again as they are', async () => {
    const states = await statesOf(
      'proven tail',
      async disk => (await disk.open('log', 'write')).write(bytes('proven TAIL'), 0),
      {},
    )
    expect(states.length).toBeGreaterThan(3)
    for (const log of logsOf(states)) expect(log.slice(0, 7)).toBe('proven ')
  })

  test('is damaged in the same way each time', async () => {
    const hashes = async (seed: number) => (await statesOf('old old old old ', write, { seed })).map(state => state.hash)
    expect(await hashes(1)).toEqual(await hashes(1))
    expect(await hashes(1)).not.toEqual(await hashes(2))
  })
})

describe('the crash model', () => {
  async function recording(): Promise<SimulatedDisk> {
    const disk = new SimulatedDisk()
    const random = new Random(5)
    await disk.makeDirectory('data')
    const file = await disk.open('data/log', 'create')
    for (let turn = 0; turn < 5; turn++) {
      await file.write(random.bytes(1300), turn * 1300)
      await file.write(random.bytes(200), 0)
      if (turn % 2 === 0) await file.datasync()
      disk.mark('written', turn)
    }
    return disk
  }

  test('gives the marks before each crash, and no state twice between the same marks', async () => {
    const model = new CrashModel(await recording())
    const seen = new Set<string>()
    const points: number[] = []
    for (const { hash, marks, point } of model.states()) {
      expect(marks.map(mark => mark.payload)).toEqual(Array.from(marks, (_, index) => index))
      seen.add(`${hash} ${marks.length}`)
      points.push(point)
    }
    expect(seen.size).toBe(model.counts.given)
    expect(points).toEqual([...points].sort((one, other) => one - other))
    expect(model.counts.distinct).toBeLessThanOrEqual(model.counts.given)
    expect(model.counts.given).toBeLessThan(model.counts.generated)
  })

  test('counts states with equal content once, however they came about', async () => {
    const model = new CrashModel(await recording())
    const contents = new Set<string>()
    const hashes = new Set<number>()
    for (const state of model.states()) {
      const content = [...state.disk.snapshot()].map(([path, file]) => `${path} ${Buffer.from(file).toString('base64')}`)
      contents.add(content.sort().join())
      hashes.add(state.hash)
    }
    expect(contents.size).toBe(model.counts.distinct)
    expect(hashes.size).toBe(model.counts.distinct)
  })

  test('gives the same states for the same seed', async () => {
    const run = async (seed: number) => [...new CrashModel(await recording(), { seed }).states()].map(state => state.hash)
    expect(await run(1)).toEqual(await run(1))
    expect(await run(1)).not.toEqual(await run(2))
  })

  test('replays one state by its point and ordinal, and describes it', async () => {
    const model = new CrashModel(await recording())
    for (const state of [...model.states()].filter((_, index) => index % 50 === 0)) {
      const again = model.replay(state.point, state.ordinal)
      expect(again.hash).toBe(state.hash)
      expect(again.disk.snapshot()).toEqual(state.disk.snapshot())
      expect(again.describe()).toBe(state.describe())
    }
    expect(() => model.replay(10_000, 0)).toThrow(RangeError)
  })

  test('says what became of each change', async () => {
    const states = await statesOf('old', async disk => {
      await (await disk.open('log', 'write')).write(bytes('new'), 3)
    })
    expect(states[1]!.describe()).toBe(
      ['crash before the return of #0 write:', '  #0 write log size 3 -> 6: kept', '  #0 write log 3..6: lost'].join('\n'),
    )
  })

  test('tries all subsets of operations, and samples those of sectors, when there are many', async () => {
    const states = await statesOf('', async disk => {
      const file = await disk.open('log', 'write')
      await file.write(new Uint8Array(20_000).fill(0x41), 0)
      await file.write(new Uint8Array(20_000).fill(0x42), 20_000)
    })
    const logs = logsOf(states)
    expect(logs).toContain('A'.repeat(20_000))
    expect(logs).toContain('\0'.repeat(20_000) + 'B'.repeat(20_000))
    expect(states.length).toBeLessThan(500)
  })

  test('gives disks that change alone', async () => {
    const states = await statesOf('old', async disk => {
      await disk.open('new', 'create')
    })
    const first = await states[0]!.disk.open('log', 'write')
    await first.write(bytes('recovered'), 0)
    expect(text(states[1]!.disk.snapshot(), 'log')).toBe('old')
  })

  test('goes on from what a crash left: crashes during recovery', async () => {
    const [state] = await statesOf('old', async () => {})
    const recovering = new SimulatedDisk({ content: state!.disk.snapshot() })
    await (await recovering.open('log', 'write')).truncate(0)
    expect(logsOf([...new CrashModel(recovering, NO_DAMAGE).states()])).toEqual(['', 'old'])
  })

  test('after a power cut in between: some of what was not durable, from a seed', async () => {
    const disk = await recording()
    const cut = (seed: number) => powerCut(disk, new Random(seed)).snapshot()
    expect(cut(1)).toEqual(cut(1))
    expect(cut(1)).not.toEqual(cut(2))
  })
})

describe('the model agrees with the disk', () => {
  /** Random calls, up to four in flight at once, on files of one directory. Calls may fail; nothing waits for a sync. */
  async function strain(seed: number): Promise<{ disk: SimulatedDisk; files: DiskFile[] }> {
    const disk = new SimulatedDisk({ seed, shuffle: true, content: new Map([['d/0', new Uint8Array(700).fill(0x2d)]]) })
    const random = new Random(`strain ${seed}`)
    const files = [await disk.open('d/0', 'write')]
    const call = async (): Promise<unknown> => {
      const file = random.pick(files)
      const size = await file.size()
      const data = random.bytes(1 + random.int(900))
      switch (random.int(9)) {
        case 0:
          return file.truncate(random.int(2000))
        case 1:
          return disk.open(`d/${random.int(6)}`, 'create').then(created => files.push(created))
        case 2:
          return disk.rename(`d/${random.int(6)}`, `d/${random.int(6)}`)
        case 3:
          return random.chance(0.3) ? disk.remove(`d/${random.int(6)}`) : disk.syncDirectory('d')
        case 4:
          return file.datasync()
        case 5:
          return file.writeDurably(data.subarray(0, size), 0)
        default:
          return file.write(data, random.int(2000))
      }
    }
    for (let turn = 0; turn < 30; turn++) {
      await Promise.allSettled(Array.from({ length: 1 + random.int(4) }, call))
    }
    return { disk, files }
  }

  test('when everything reached the disk: a crash leaves what readers saw', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const { disk } = await strain(seed)
      expect(sorted(powerCut(disk, 'all').snapshot()), `seed ${seed}`).toEqual(sorted(disk.snapshot()))
    }
  })

  test('when everything was synced: a crash leaves only that', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const { disk, files } = await strain(seed)
      for (const file of files) await file.datasync()
      await disk.syncDirectory('d')
      for (const kept of ['none', 'all'] as const) {
        expect(sorted(powerCut(disk, kept).snapshot()), `seed ${seed}, ${kept}`).toEqual(sorted(disk.snapshot()))
      }
    }
  })
})

describe('random numbers', () => {
  test('are the same for the same seed, on every machine', () => {
    const random = new Random(42)
    expect([random.next(), random.next(), random.int(100), random.fork('part').next()]).toMatchInlineSnapshot(`
      [
        2761045173,
        4185181997,
        12,
        4283208726,
      ]
    `)
  })

  test('of a fork depend on the seed and the label, not on how many were drawn before', () => {
    const random = new Random('seed')
    const before = random.fork(1).next()
    random.next()
    expect(random.fork(1).next()).toBe(before)
    expect(random.fork(2).next()).not.toBe(before)
  })

  test('are spread evenly', () => {
    const random = new Random(1)
    const counts = new Array<number>(10).fill(0)
    for (let draw = 0; draw < 100_000; draw++) counts[random.int(10)]!++
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
    expect(random.shuffle([1, 2, 3, 4, 5]).sort()).toEqual([1, 2, 3, 4, 5])
    expect(new Set(random.bytes(1000)).size).toBeGreaterThan(200)
  })
})
